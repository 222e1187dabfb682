"""OneKE's shape on one GPU: its quick start, our engines, and how near they come to what the device can do.

`PYTHONPATH=tests python -m gpu.bench --help`; where Sluice is not installed, PYTHONPATH=tests:worker:schemas:producer.
It needs no network and no weights: they are random. At most 8 minutes.
"""

import os
import platform
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import orjson
import torch
from bench.roofline import Ceilings
from bench.shape import BF16_BYTES, ONEKE, SMALL, Shape
from gpu import table
from gpu.conditions import Conditions
from gpu.figures import Figures, standing
from gpu.run import PartFailed, run

SHAPES = {"oneke": ONEKE, "small": SMALL}
ENGINES = ("quick start", "transformers", "nf4", "vllm")
MEMORY = Path("/dev/shm")


@click.command()
@click.option("--shape", "name", type=click.Choice([*SHAPES]), default="oneke", show_default=True)
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Also write the figures here, part by part.")
@click.option("--engine", "engines", type=click.Choice(ENGINES), multiple=True, help="Only these; may be repeated.")
@click.option("--documents", type=click.IntRange(1), default=96, show_default=True, help="In one pass.")
@click.option("--max-tokens", type=click.IntRange(2), default=128, show_default=True, help="Of each answer.")
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count(), show_default=True)
@click.option("--batch-tokens", type=click.IntRange(1), default=65_536, show_default=True, help="SLUICE_BATCH_TOKENS.")
@click.option(
    "--limit-s", type=click.FloatRange(0), default=470.0, show_default=True, help="What has not ended is cut."
)
@click.option("--budget-s", type=click.FloatRange(0), default=35.0, show_default=True, help="For a part's passes.")
def main(
    name: str, device: str, target: Path | None, engines: tuple[str, ...], limit_s: float, **measured: Any
) -> None:
    """Measure each part in its own process; one that fails says why, and the rest goes on."""
    started = time.monotonic()
    # Parts run in sessions of their own: only this process can end them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shape = SHAPES[name]
    with tempfile.TemporaryDirectory(prefix="sluice-gpu-", dir=_place(shape)) as place:
        conditions = Conditions(folder=Path(place) / name, shape=shape, device=device, **measured)
        report = _report(conditions)
        for part in ("model", "ceilings", *(engines or ENGINES)):
            click.echo(f"{part} ...", err=True)
            began = time.monotonic()
            found = _part(part, conditions, report["parts"], until=started + limit_s)
            report["parts"][part] = found | {"seconds": time.monotonic() - began}
            report["seconds"] = time.monotonic() - started
            _write(report, target)
    click.echo("\n".join(table.lines(report)))
    if all("failure" in report["parts"][engine] for engine in engines or ENGINES):
        raise SystemExit(1)


def _place(shape: Shape) -> str | None:
    """Memory, where it has room for the weights and for them once more while they load; else the usual folder."""
    needed = 2 * shape.parameters * BF16_BYTES
    return str(MEMORY) if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > needed else None


def _report(conditions: Conditions) -> dict[str, Any]:
    described = asdict(conditions)
    del described["folder"]
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
    }
    return {"conditions": described, "parameters": conditions.shape.parameters, **versions, "parts": {}}


def _part(name: str, conditions: Conditions, before: Mapping[str, Any], *, until: float) -> dict[str, Any]:
    """What a part found, with what follows from the parts `before` it; or its failure."""
    if name in ENGINES and "failure" in before["model"]:
        return {"failure": "there is no model to measure"}
    try:
        found = run(name, conditions, until=until)
    except PartFailed as exc:
        return {"failure": str(exc)}
    if name == "ceilings":
        measured = Ceilings(**found)
        return {**found, "matrix_rate": measured.matrix_rate, "bandwidth": measured.bandwidth}
    return {**found, **_compared(name, Figures(**found), conditions.shape, before)} if name in ENGINES else {**found}


def _compared(name: str, found: Figures, shape: Shape, before: Mapping[str, Any]) -> dict[str, float | None]:
    """Against the quick start and against the ceilings, as far as there are any."""
    quick = found.documents_per_s if name == ENGINES[0] else before.get(ENGINES[0], {}).get("documents_per_s")
    times = found.documents_per_s / quick if quick else None
    if "failure" in (measured := before["ceilings"]):
        return {"times_quick_start": times, "prefill_share": None, "decode_share": None}
    ceilings = Ceilings(**{each.name: measured[each.name] for each in fields(Ceilings)})
    return {"times_quick_start": times, **asdict(standing(found, shape, ceilings, is_nf4=name == "nf4"))}


def _write(report: Mapping[str, Any], target: Path | None) -> None:
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
