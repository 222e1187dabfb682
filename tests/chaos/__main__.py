"""The chaos suite: `PYTHONPATH=tests python -m chaos --help`."""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import orjson
from chaos import judge, story
from chaos.defects import DEFECTS
from chaos.judge import ENDS, NEW_ONCE, NO_WASTE, NOBODY_LEFT, ONE_RESULT, PROMISES, Breach
from chaos.stage import POISONED, producing, settle, stage, states
from rich.console import Console
from rich.table import Table

SETTLE_S = 90.0
CAUGHT_BY: Mapping[str, str] = {
    "forgets_leases": ENDS,
    "commits_without_fence": ONE_RESULT,
    "answers_under_new_ids": NEW_ONCE,
    "drops_deliveries": NEW_ONCE,
    "asks_twice": NO_WASTE,
    "leaves_a_child": NOBODY_LEFT,
}
"""The promise that each planted defect breaks."""
SHORT = ["kill_worker", "freeze_worker"]
"""Enough for every defect to show, but for bad luck: the judge has TRIES runs to see it."""
TRIES = 3


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same misfortunes.")
@click.option("--rounds", type=click.IntRange(1), default=2, show_default=True, help="How often each happens.")
@click.option("--minutes", type=float, help="Go on for so long instead.")
@click.option("--rate", type=click.FloatRange(1), default=25.0, show_default=True, help="Documents a second.")
@click.option("--defects/--no-defects", "with_defects", default=True, help="Show that the judge can see.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=Path(".build/chaos.json"), show_default=True)
def main(seed: int, rounds: int, minutes: float | None, rate: float, with_defects: bool, target: Path) -> None:
    """Let everything go wrong that can, and see whether the promise was kept.

    Exit code 1 when it was not, or when a planted defect was not seen.
    """
    # Whoever ends this process ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    click.echo(f"Seed {seed}: {len(story.ALL)} kinds of misfortune, {rate:g} documents a second ...")
    names = story.shuffled(seed, rounds=rounds) if minutes is None else story.endless(seed)
    found: dict[str, Any] = {"seed": seed, "run": run(names, seed=seed, rate=rate, minutes=minutes)}
    _show_run(found["run"])
    if with_defects:
        found["defects"] = {}
        for name in DEFECTS:
            found["defects"][name] = caught(name, seed=seed)
            seen = found["defects"][name]
            click.echo(f"  planted: {name:<22} {'seen' if seen['is_caught'] else 'NOT SEEN'}: {seen['by']}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    if found["run"]["breaches"] or not all(each["is_caught"] for each in found.get("defects", {}).values()):
        raise SystemExit(1)


def run(
    names: Iterable[str],
    *,
    seed: int,
    rate: float,
    minutes: float | None = None,
    defect: str = "",
    settle_s: float = SETTLE_S,
    workers: int = 3,
) -> dict[str, Any]:
    """One run from its first document to the judge's word. Its logs are kept when a promise was broken."""
    started = time.monotonic()
    until = float("inf") if minutes is None else started + 60 * minutes
    folder = Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    with stage(folder, seed=seed, defect=defect, workers=workers) as on:
        # Poison takes workers away for seconds, and some defects show only between two of them.
        with producing(on, seed=seed, rate=rate, poisoned=0 if defect else POISONED):
            happened = story.tell(on, names, seed=seed, until=until)
        settled_s = settle(on, timeout_s=settle_s)
        on.fleet.stop()
        seen = on.evidence(left_behind=on.fleet.left_behind())
    breaches = judge.judge(seen)
    if defect or not breaches:
        shutil.rmtree(folder)
    dead = {row.document for row in seen.rows.values() if row.state == "dead"}
    return {
        "seconds": round(time.monotonic() - started, 1),
        "settled_s": round(settled_s, 1),
        "documents": len(on.accepted),
        "submitted": dict(on.submitted),
        "states": states(seen),
        "poisoned": len(on.poisoned),
        "dead_though_not_poisoned": len(dead - on.poisoned),
        "claims": sum(row.fence for row in seen.rows.values()),
        "engine_runs": sum(seen.worked.values()),
        "posts": len(seen.arrivals),
        "events_new": sum(each.is_new for each in seen.arrivals),
        "exits": {str(code): count for code, count in sorted(on.fleet.exits.items())},
        "misfortunes": happened,
        "folder": str(folder) if breaches else None,
        "breaches": [{"promise": each.promise, "what": each.what} for each in breaches],
    }


def caught(defect: str, *, seed: int) -> dict[str, Any]:
    """Short runs with a defect planted in every process, until the judge sees it; what it says."""
    for tries in range(1, TRIES + 1):
        ran = run(SHORT, seed=seed + tries - 1, rate=40.0, defect=defect, settle_s=12.0, workers=2)
        if by := [Breach(**each) for each in ran["breaches"] if each["promise"] == CAUGHT_BY[defect]]:
            return {"is_caught": True, "by": by[0].what, "breaches": len(ran["breaches"]), "tries": tries}
    return {"is_caught": False, "by": "", "breaches": len(ran["breaches"]), "tries": TRIES}


def _show_run(ran: Mapping[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for name in (
        "documents",
        "states",
        "poisoned",
        "dead_though_not_poisoned",
        "claims",
        "engine_runs",
        "posts",
        "events_new",
        "exits",
        "seconds",
    ):
        value = ran[name]
        told = ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), told)
    console = Console(highlight=False, markup=False)
    console.print(table)
    broken = {each["promise"] for each in ran["breaches"]}
    for promise in PROMISES:
        console.print(f"  {'BROKEN' if promise in broken else 'kept  '}  {promise}")
    for each in ran["breaches"][:20]:
        console.print(f"          {each['promise']}: {each['what']}")
    if ran["folder"]:
        console.print(f"Logs: {ran['folder']}")


if __name__ == "__main__":
    main()
