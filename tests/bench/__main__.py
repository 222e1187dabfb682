"""Every benchmark, one after the other, each in a process of its own: `PYTHONPATH=tests python -m bench --help`."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click
import orjson
from bench import queue_report

MODULES: Mapping[str, tuple[str, ...]] = {
    "bench.protocol": ("protocol",),
    "bench.serving": ("a", "b", "f", "g"),
    "bench.queue_peers": ("c",),
    "bench.queue_overhead": ("d",),
    "bench.queue_latency": ("e",),
    "bench.queue_load": ("load",),
    "bench.recovery": ("recovery",),
    "bench.deliveries": ("deliveries",),
    "bench.knowledge": ("knowledge",),
}
"""Which module measures which letters. Each is a command that merges its letters into the file `--json`."""
NAMES = sorted(name for names in MODULES.values() for name in names)


@click.command()
@click.option("--only", help=f"Of {','.join(NAMES)}; all by default.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
def main(only: str | None, target: Path) -> None:
    """Measure, print the tables, and merge the figures into one file, an object a letter."""
    # Whoever ends this process ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = only.split(",") if only else NAMES
    if unknown := set(wanted).difference(NAMES):
        raise click.BadParameter(f"No such benchmark: {', '.join(sorted(unknown))}. Known are {', '.join(NAMES)}.")
    failed = []
    for module, names in MODULES.items():
        if (asked := [name for name in names if name in wanted]) and _run(module, asked, target):
            failed += asked
    if failed:
        raise SystemExit(f"No figures for {', '.join(failed)}.")


def _run(module: str, names: list[str], target: Path) -> int:
    """The exit code; 0 when its figures are in the file."""
    if module == "bench.protocol":
        return _protocol(target)
    only = [part for name in names for part in ("--only", name)] if len(MODULES[module]) > 1 else []
    return subprocess.call([sys.executable, "-m", module, *only, "--json", str(target)])


def _protocol(target: Path) -> int:
    """It writes a file of its own, which becomes one object among the others."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        own = Path(folder) / "protocol.json"
        code = subprocess.call([sys.executable, "-m", "bench.protocol", "--json", str(own)])
        if code == 0:
            queue_report.merge(target, "protocol", orjson.loads(own.read_bytes()))
        return code


if __name__ == "__main__":
    main()
