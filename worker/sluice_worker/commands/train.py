"""`sluice train`: makes a model from a recipe."""

from pathlib import Path

import click


@click.command()
@click.option("--recipe", default="tiny", show_default=True, help="A recipe that ships, or a YAML file.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of data sets.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Checkpoints and, in the end, OUT/model.")
@click.option("--minutes", type=float, help="Another budget than the recipe's.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--processes",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="That draw exercises; a GPU needs a dozen.",
)
def train(recipe: str, data: Path, out: Path, minutes: float | None, device: str, processes: int) -> None:
    """Train a small model from scratch on the OneKE protocol.

    A run that was stopped goes on from its last checkpoint when it is started again with the same --out.
    """
    from sluice_worker.engine.device import choose
    from sluice_worker.process.logs import configure
    from sluice_worker.training import recipe as recipes
    from sluice_worker.training import scratch

    configure("INFO")
    chosen = recipes.load(recipe)
    if minutes is not None:
        chosen = chosen.model_copy(update={"minutes": minutes})
    done = scratch.train(chosen, data=data, out=out, device=choose(device), processes=processes)
    click.echo(
        f"{done.steps} steps, {done.tokens} tokens, {done.elapsed_s / 60:.1f} minutes. The model is in {out}/model."
    )
