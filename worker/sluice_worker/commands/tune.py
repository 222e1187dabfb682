"""`sluice tune`: tunes a model on converted records."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_SETTINGS = (
    ("--method", click.Choice(["lora", "qlora", "full"])),
    ("--rank", click.IntRange(1)),
    ("--alpha", click.IntRange(1)),
    ("--dropout", float),
    ("--learning-rate", float),
    ("--epochs", float),
    ("--max-steps", click.IntRange(1)),
    ("--batch", click.IntRange(1)),
    ("--device-batch", click.IntRange(1)),
    ("--sequence-tokens", click.IntRange(2)),
    ("--prompt-tokens", click.IntRange(1)),
    ("--answer-tokens", click.IntRange(1)),
    ("--clip", float),
    ("--warmup", float),
    ("--seed", click.IntRange(0)),
    ("--form", str),
    ("--dtype", str),
    ("--checkpoint-steps", click.IntRange(1)),
)


def _settings(command: Callable[..., None]) -> Callable[..., None]:
    for name, kind in reversed(_SETTINGS):
        command = click.option(name, type=kind, help="Instead of the preset's.")(command)
    return command


@click.command()
@click.option("--preset", default="oneke", show_default=True, help="Settings that ship, or a YAML file.")
@click.option("--base", required=True, help="Folder of the base model, or sluice-tiny.")
@click.option("--records", type=_FILE, required=True, help="What `sluice convert --split train` wrote.")
@click.option("--dev-records", type=_FILE, help="More of them, only watched.")
@click.option("--out", type=_FOLDER, required=True, help="Checkpoints and, in the end, OUT/adapter or OUT/model.")
@click.option("--start-from", type=_FOLDER, help="Adapter to go on from.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="One for each GPU.")
@click.option("--threads", type=click.IntRange(1), help="Of one process on a CPU. Default: the cores, shared.")
@click.option("--deepspeed", type=click.Choice(["none", "zero2", "zero3"]), default="none", show_default=True)
@click.option("--max-rank", type=click.IntRange(1), default=64, show_default=True, help="What the workers serve.")
@_settings
def tune(preset: str, base: str, **options: Any) -> None:
    """Tune a model on converted records: LoRA, LoRA on a 4-bit model (qlora), or all its weights (full).

    A run that was stopped goes on from its last checkpoint when it is started again with the same command.
    """
    from sluice_worker.engine import model_folder
    from sluice_worker.training import launch, presets
    from sluice_worker.training.tuning_plan import TuningPlan

    changed = {name: value for name, value in _taken(options).items() if value is not None}
    tuning = presets.load(preset).changed(**changed)
    plan = TuningPlan.of({"base": model_folder.resolve(base), "tuning": tuning, **options})
    with _shown() as show:
        done = launch.run(plan, on_progress=show, gone=threading.Event())
    click.echo(
        f"{done.steps} steps, {done.tokens} tokens at {done.tokens_per_s:.0f} tokens/s, "
        f"at most {done.peak_bytes / 2**20:.0f} MiB. {_losses(done)}"
    )
    click.echo(f"{_records(done.tally)} {done.digest} is in {done.folder}.")


def _taken(options: dict[str, Any]) -> dict[str, Any]:
    """The settings among the options, taken out of them."""
    names = [name.removeprefix("--").replace("-", "_") for name, _ in _SETTINGS]
    return {name: options.pop(name) for name in names}


def _losses(done: Any) -> str:
    last = f"Loss {done.losses[-1][1]:.4f}" if done.losses else "No loss"
    return f"{last}, on dev records {done.dev_losses[-1][1]:.4f}." if done.dev_losses else f"{last}."


def _records(tally: dict[str, Any]) -> str:
    left_out = ", ".join(f"{count} left out ({reason})" for reason, count in tally["dropped"].items())
    return f"{tally['kept']} records, {tally['shortened']} of them shortened; {left_out or 'none left out'}."


@contextmanager
def _shown() -> Iterator[Callable[[Any], None]]:
    """A bar on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line
        return
    text = TextColumn("{task.description}")
    with Progress(text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda at: bars.update(task, total=at.steps, completed=at.step, description=_told(at))


def _line(at: Any) -> None:
    if at.dev_loss is not None or at.step == at.steps or at.step % max(1, at.steps // 20) == 0:
        click.echo(f"step {at.step} of {at.steps}: {_told(at)}", err=True)


def _told(at: Any) -> str:
    loss = f"dev loss {at.dev_loss:.4f}" if at.loss is None else f"loss {at.loss:.4f}"
    return f"{loss}, {at.tokens_per_s:.0f} tokens/s"
