"""`sluice evaluate`: OneKE's scores of a prediction file to the last digit, and what they leave unsaid."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Task
from sluice_schemas.whole_file import whole_file
from sluice_worker.commands.output import check_target

if TYPE_CHECKING:
    from sluice_worker.evaluation.counting import Counts
    from sluice_worker.evaluation.outcome import Outcome
    from sluice_worker.evaluation.predictions import Predictions
    from sluice_worker.evaluation.rules import Rules

TASKS: tuple[Task, ...] = get_args(Task)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
TARGET = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, in either spelling."""

    file: Path
    task: Task | None
    sort_by: str
    match: Literal["normal", "set"]
    is_clean: bool
    is_lenient: bool
    target: Path | None
    other: Path | None
    is_original: bool

    @property
    def is_json_alone(self) -> bool:
        """Whether the figures go to standard output, in place of the tables."""
        return self.target == Path("-")

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Options":
        """Joins the original's spellings with ours. Raises `click.UsageError` without a file, or with two."""
        file, path1 = given["file"], given["path1"]
        if (file is None) == (path1 is None):
            raise click.UsageError("Name one prediction file: sluice evaluate FILE --task NER.")
        return cls(
            file=file or path1,
            task=given["task"],
            sort_by=given["sort_by"] or given["sort_by_original"],
            # The original acts on no other value than `set`.
            match="set" if "set" in (given["match"], given["match_mode"]) else "normal",
            is_clean=given["clean"],
            is_lenient=given["lenient"],
            target=given["target"],
            other=given["compare"],
            is_original=path1 is not None,
        )


@click.command()
@click.argument("file", type=FILE, required=False)
@click.option(
    "--task",
    type=click.Choice(TASKS, case_sensitive=False),
    metavar="|".join(TASKS),
    help="Needed unless all lines name one.",
)
@click.option("--sort-by", default="", metavar="FIELD", help="Also score by the values of a field, such as source.")
@click.option(
    "--match", type=click.Choice(["normal", "set"]), help="set: count repeats of one document once.  [default: normal]"
)
@click.option("--clean", is_flag=True, help="Compare without repeats and absent values. Not comparable.")
@click.option("--lenient", is_flag=True, help="Mend outputs that are not plain JSON. Not comparable.")
@click.option(
    "--json",
    "target",
    type=TARGET,
    metavar="[OUT]",
    is_flag=False,
    flag_value="-",
    help="Also write all figures to OUT; without OUT, JSON instead of the tables.",
)
@click.option("--compare", type=FILE, metavar="OTHER", help="Is OTHER better on the same documents?")
# The original's spellings, and its options that do nothing.
@click.option("--path1", type=FILE, hidden=True)
@click.option("--sort_by", "sort_by_original", default="", hidden=True)
@click.option("--match_mode", hidden=True)
@click.option("--metrics_list", type=click.Choice(["f1"]), hidden=True)
@click.option("--language", hidden=True)
@click.option("--NAN", "nan", hidden=True)
@click.option("--prefix", hidden=True)
@click.pass_context
def evaluate(context: click.Context, /, **given: Any) -> None:
    """Score a prediction file as OneKE does.

    FILE has one prediction a line: `id`, `instruction`, `label`, `output` and perhaps `source`. Lines of one source and
    id are one document. Scores are micro P, R and F1 in percent, the original's to the last digit, with 95 % bootstrap
    intervals, scores by label, and the labels that are taken for each other.

    Bad lines are named, the rest is scored, and the exit code is then 1. The options of OneKE's own command are taken
    too; with its --path1, its result file is written where it writes it.
    """
    from rich.console import Console

    from sluice_worker.evaluation import table
    from sluice_worker.evaluation.outcome import as_text

    options = Options.of(given)
    outcome, has_bad_lines = _outcome(options)
    written: list[str] = []
    try:  # before the table: whoever pipes that into `head` wants the files all the same
        written = _written(options, outcome)
    finally:
        if options.is_json_alone:
            click.echo(as_text(outcome.as_json(), indent=2))
        else:
            table.show(Console(markup=False, emoji=False, highlight=False), outcome)
    for line in written:
        click.echo(line, err=options.is_json_alone)
    if has_bad_lines:
        context.exit(1)


def _outcome(options: Options) -> "tuple[Outcome, bool]":
    from sluice_worker.evaluation import counting
    from sluice_worker.evaluation.comparison import compare
    from sluice_worker.evaluation.outcome import Outcome, scored
    from sluice_worker.evaluation.rules import Rules

    task = options.task or _task(options.file)
    rules = Rules(task, options.match, options.is_clean, options.is_lenient)
    predictions, counts = _counted(options.file, rules, options.sort_by)
    comparison, has_bad_lines = None, bool(predictions.bad_lines)
    if options.other:
        others, other_counts = _counted(options.other, rules, options.sort_by)
        comparison = compare(predictions, others, counts=counts, others=other_counts)
        has_bad_lines |= bool(others.bad_lines)
    groups = counting.sections(predictions, counts) if options.sort_by else []
    whole, parts = scored(counting.total(predictions, counts)), [scored(each) for each in groups]
    found = Outcome(options.file, rules, predictions, whole, parts, counts, options.other, comparison)
    return found, has_bad_lines


def _task(file: Path) -> Task:
    from sluice_worker.evaluation.predictions import named_tasks

    if not file.is_file():  # a pipe can be read but once
        raise BadInput(f"{file} is no regular file; say --task with one of {', '.join(TASKS)}.")
    with file.open("rb") as lines:
        named = named_tasks(lines)
    found = next(iter(named)) if len(named) == 1 else None
    for task in TASKS:
        if task == found:
            return task
    what = "its lines name several" if len(named) > 1 else "its lines name none that Sluice knows"
    raise BadInput(f"Which task is {file}? {what}; say --task with one of {', '.join(TASKS)}.")


def _counted(file: Path, rules: "Rules", sort_by: str) -> "tuple[Predictions, Counts]":
    from sluice_worker.evaluation import counting, table
    from sluice_worker.evaluation.predictions import read

    with file.open("rb") as lines:
        predictions = read(lines, task=rules.task, parse=rules.parse, sort_by=sort_by)
    for line in predictions.bad_lines:
        click.echo(f"{table.plain(file.name)}, {line}", err=True)
    if not predictions.documents and not predictions.bad_lines:
        raise BadInput(f"{file} holds no predictions; give a file that `sluice predict` wrote.")
    return predictions, counting.count(predictions, rules.claims)


def _written(options: Options, outcome: "Outcome") -> list[str]:
    from sluice_worker.evaluation import oneke
    from sluice_worker.evaluation.outcome import as_text

    said = []
    if options.target and not options.is_json_alone:
        _write(options, options.target, as_text(outcome.as_json(), indent=2) + b"\n")
        said.append(f"All figures are in {options.target}.")
    if options.is_original:
        path = oneke.result_path(options.file)
        _write(options, path, as_text(outcome.original(), indent=4))
        said.append(f"OneKE's result file is {path}.")
    return said


def _write(options: Options, path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    check_target(path, options.file, *([options.other] if options.other else []))
    with whole_file(path) as file:
        file.write(content)
