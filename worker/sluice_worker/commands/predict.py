"""`sluice predict`: the model's answers to a converted test file, for `sluice evaluate` to score."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, get_args

import click

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Decoding, Task
from sluice_schemas.whole_file import whole_file
from sluice_worker.commands.output import check_target
from sluice_worker.settings import Settings


@click.command()
@click.argument("source", metavar="FILE", type=click.File("rb"))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--task", type=click.Choice(get_args(Task)), help="For records that name none.")
@click.option(
    "--decoding",
    type=click.Choice(get_args(Decoding)),
    help="Hold answers to their form, or to the text as well. Default: the model's own advice.",
)
@click.option(
    "--queue",
    is_flag=True,
    help="Ask the workers behind the queue: what a service gets, read leniently, long texts in chunks.",
)
def predict(source: BinaryIO, target: Path, task: Task | None, decoding: Decoding | None, queue: bool) -> None:
    """Answer the instructions in FILE, which `sluice convert --split test` wrote, and write them with their answers
    to OUT, which `sluice evaluate` reads.

    A record that cannot be answered is named and gets an empty answer, which counts as an error; a line that is no
    record is named and left out. The others go on, and the exit code is then 1.
    """
    if queue and decoding:
        raise click.UsageError("--decoding is the workers' setting; leave it out with --queue.")
    check_target(target, Path(source.name))
    from sluice_worker.evaluation.asked import read

    given = read(source, task=task)
    answers = _queued(given) if queue else _direct(given, decoding)
    if _write(answers, target):
        click.get_current_context().exit(1)


def _direct(given: Iterator[Any], decoding: Decoding | None) -> Iterator[Any]:
    settings = Settings.read()
    from sluice_worker.engine import load
    from sluice_worker.evaluation.predict import predict as answered
    from sluice_worker.process.logs import configure

    configure("WARNING")
    engine = load.load(settings)
    try:
        limits = load.limits(settings, engine.card)
        yield from answered(engine, given, level=decoding or engine.card.decoding, answer_tokens=limits.answer_tokens)
    finally:
        engine.close()


def _queued(given: Iterator[Any]) -> Iterator[Any]:
    from sluice_worker.evaluation.queue import predict as answered

    return answered(given)


def _write(answers: Iterator[Any], target: Path) -> int:
    """Writes a line an answer. Returns how many records went wrong."""
    from sluice_worker.protocol.instruction import dump

    written = failed = unread = 0
    with whole_file(target) as file:
        for each in answers:
            if isinstance(each, BadInput):
                unread += 1
                click.echo(str(each), err=True)
                continue
            if each.failure:
                failed += 1
                click.echo(f"line {each.asked.number}: {each.failure}", err=True)
            file.write(f"{dump({**each.asked.record, 'output': each.output})}\n".encode())
            written += 1
    click.echo(f"{written} records written to {target}, {failed} of them without a whole answer; {unread} bad lines.")
    return failed + unread
