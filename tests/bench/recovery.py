"""How long the documents of a killed worker wait for another: `PYTHONPATH=tests python -m bench.recovery --help`."""

import signal
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from bench import queue_report
from chaos.fleet import Slot
from chaos.stage import Stage, producing, stage
from rich.table import Table

from sluice_schemas.ledger.scripts import fields_of
from sluice_worker.settings import Settings

SHORT: Mapping[str, str] = {"SLUICE_LEASE_S": "3", "SLUICE_SWEEP_EVERY_S": "0.5"}
USUAL: Mapping[str, str] = {
    "SLUICE_LEASE_S": str(Settings.model_fields["lease_s"].default),
    "SLUICE_SWEEP_EVERY_S": str(Settings.model_fields["sweep_every_s"].default),
}
GOALS_S = {"usual": 20.0, "short": 5.0}
RATE = 150.0
WORKERS = 3
LOOK_EVERY_S = 0.02


def measure(kills: int) -> dict[str, Any]:
    """Kills workers under load, one after the other, at the default settings and with a short lease."""
    found: dict[str, Any] = {}
    for name, settings in {"usual": USUAL, "short": SHORT}.items():
        with (
            tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
            stage(Path(folder), seed=1, workers=WORKERS, settings=settings) as on,
            producing(on, seed=1, rate=RATE, poisoned=0.0),
        ):
            waits = [wait for number in range(kills) for wait in _killed(on, number)]
        found[name] = {
            "settings": dict(settings),
            "kills": kills,
            "documents": len(waits),
            "p50_s": round(statistics.median(waits), 2),
            "p95_s": round(sorted(waits)[int(0.95 * (len(waits) - 1))], 2),
            "most_s": round(max(waits), 2),
        }
    return found


def _killed(on: Stage, number: int) -> list[float]:
    """Kills a worker that holds documents; for each the seconds until another worker holds it."""
    slot = on.fleet.slots[number % WORKERS]
    while not (held := _held(on, slot)):
        time.sleep(LOOK_EVERY_S)
    assert slot.process is not None
    slot.process.kill()
    killed_at, waits = time.monotonic(), list[float]()
    # What it settled between the look and its death has not waited.
    left = {job_id: fence for job_id, fence in held.items() if _fence(on, job_id) == (fence, "running")}
    while left:
        for job_id, fence in [*left.items()]:
            now, state = _fence(on, job_id)
            if now > fence or state not in ("running", "queued"):
                waits.append(time.monotonic() - killed_at)
                del left[job_id]
        time.sleep(LOOK_EVERY_S)
    return waits


def _held(on: Stage, slot: Slot) -> dict[str, int]:
    """The jobs that a process runs, with their fences."""
    mine = f":{slot.process.pid}:" if slot.process else "none"
    rows = {each.decode(): fields_of(on.redis.hgetall(f"{{sluice}}:job:{each.decode()}")) for each in _running(on)}
    return {job_id: int(row["fence"]) for job_id, row in rows.items() if mine in row.get("holder", b"").decode()}


def _running(on: Stage) -> list[bytes]:
    found: list[bytes] = on.redis.zrange("{sluice}:running:job", 0, -1)
    return found


def _fence(on: Stage, job_id: str) -> tuple[int, str]:
    fence, state = on.redis.hmget(f"{{sluice}}:job:{job_id}", "fence", "state")
    return int(fence or 0), (state or b"").decode()


def tables(found: Mapping[str, Any]) -> list[Table]:
    """A row for each setting."""
    rows = [
        (
            f"lease {float(each['settings']['SLUICE_LEASE_S']):g} s, "
            f"sweep {float(each['settings']['SLUICE_SWEEP_EVERY_S']):g} s{' (default)' * (name == 'usual')}",
            str(each["kills"]),
            str(each["documents"]),
            *(f"{each[key]:.1f}" for key in ("p50_s", "p95_s", "most_s")),
            f"{GOALS_S[name]:.0f}",
        )
        for name, each in found.items()
    ]
    heads = ("Seconds until another worker has it", "kills", "documents", "p50", "p95", "most", "goal, p95")
    return [queue_report.table("Recovery after kill -9 of a worker", heads, rows)]


@click.command()
@click.option("--kills", type=click.IntRange(1), default=10, show_default=True, help="With each setting.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(kills: int, target: Path) -> None:
    """Measure, print the table and merge the figures into the file."""
    # Whoever ends this process ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = measure(kills)
    queue_report.merge(target, "recovery", found)
    queue_report.show(*tables(found))


if __name__ == "__main__":
    main()
