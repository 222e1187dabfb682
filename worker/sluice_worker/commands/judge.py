"""`sluice judge`: how well a model does on labels, and whether an adapter does better by the gate of training runs."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from sluice_schemas import shelf
from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.label import Label
from sluice_schemas.labels import validate
from sluice_schemas.schema import ExtractionSchema
from sluice_schemas.whole_file import whole_file
from sluice_worker.commands.output import check_target
from sluice_worker.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

    from sluice_worker.evaluation.gate import Decision
    from sluice_worker.evaluation.serve import Case
    from sluice_worker.evaluation.trial import SchemaTrial, Trial

    Cases = Mapping[str, Sequence[Case]]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
BARE, ADAPTER = "bare", "adapter"


@click.command()
@click.option("--labels", "file", type=FILE, required=True, metavar="FILE", help="As `sluice labels export` writes it.")
@click.option("--adapter", "folder", type=FOLDER, metavar="FOLDER", help="Is it better than the bare model?")
@click.option(
    "--schema", "named", multiple=True, metavar="REF", help="Only its labels: one that ships (id@version), or a file."
)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="How often each document is read.")
@click.option("--json", "target", type=click.Path(path_type=Path, dir_okay=False), help="Also write all figures here.")
@click.pass_context
def judge(
    context: click.Context, file: Path, folder: Path | None, named: tuple[str, ...], runs: int, target: Path | None
) -> None:
    """Score the model on labels, and judge an adapter by them.

    Documents go the way that they go in service; no queue is used, and nothing is promoted. An adapter passes the same
    gate as in a training run: exit code 1 when it is not better. Labels that it was trained on say nothing.
    """
    if target:
        check_target(target, file)
    cases = _cases(file, named)
    settings = Settings.read()
    from sluice_worker.process.logs import configure

    configure("WARNING")
    trials, decision = _tried(cases, settings, folder, runs)
    if target:
        _write(target, file, trials, decision)
    _show(trials, decision)
    context.exit(0 if decision is None or decision.is_better else 1)


def _cases(file: Path, named: Sequence[str]) -> "Cases":
    """The labels of the schemas that are named, or of all. Raises `BadInput` for labels that do not fit."""
    from sluice_worker.evaluation import golden_set, trial

    labels = golden_set.read(file)
    refs = dict.fromkeys(each.schema_ref for each in labels)
    schemas = {each.ref: each for each in map(_schema, named)} if named else {ref: _shipped(ref) for ref in refs}
    if absent := schemas.keys() - refs:
        raise BadInput(f"No label in {file} is made under {', '.join(sorted(absent))}; it has {', '.join(refs)}.")
    chosen = [each for each in labels if each.schema_ref in schemas]
    return trial.cases_of([_fitting(each, schemas[each.schema_ref]) for each in chosen], schemas)


def _fitting(label: Label, schema: ExtractionSchema) -> Label:
    try:
        return validate.checked(label, schema)
    except BadInput as exc:
        raise BadInput(f"The label of document {label.document.id!r} cannot be used: {exc}") from exc


def _schema(given: str) -> ExtractionSchema:
    return shelf.load(Path(given)) if given.endswith((".yaml", ".yml", ".json")) else shelf.find(given)


def _shipped(ref: str) -> ExtractionSchema:
    try:
        return shelf.find(ref)
    except NotFound as exc:
        raise NotFound(f"The labels are made under {ref}, which does not ship; give its file by --schema.") from exc


def _tried(
    cases: "Cases", settings: Settings, folder: Path | None, runs: int
) -> "tuple[dict[str, Trial], Decision | None]":
    """The trials by who was tried, and what the gate says of them where there are two."""
    from sluice_worker.engine import adapters, load
    from sluice_worker.evaluation import gate, trial

    if folder:  # before minutes of trials
        adapters.check(folder, max_rank=settings.adapter_rank)
    engine = load.load(settings)
    trials = {}
    try:
        for who in (BARE, ADAPTER) if folder else (BARE,):
            adapter = engine.load_adapter(folder) if folder and who == ADAPTER else None
            limits = load.limits(settings, engine.card)
            with _progress(who) as tell:
                trials[who] = trial.run(engine, cases, limits=limits, adapter=adapter, runs=runs, on_progress=tell)
    finally:
        engine.close()
    if not folder:
        return trials, None
    rules = gate.GateRules.of(settings)
    return trials, gate.decide(trials[BARE], trials[ADAPTER], rules=rules)


@contextmanager
def _progress(who: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(who, total=1.0)
        yield lambda share: bars.update(task, completed=share)


def _show(trials: "Mapping[str, Trial]", decision: "Decision | None") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(markup=False, emoji=False, highlight=False)
    bare = trials[BARE]
    console.print(Text(bare.model + (f", adapter {trials[ADAPTER].adapter}" if ADAPTER in trials else "")))
    console.print(_table(trials))
    if decision is None:
        return
    console.print()
    for each in decision.checks:
        console.print(Text(f"{'passed' if each.is_passed else 'FAILED'}  {each.sentence}"), soft_wrap=True)
    console.print(f"The adapter is {'better' if decision.is_better else 'not better'}.")


def _table(trials: "Mapping[str, Trial]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("schema", overflow="fold")
    for name in ("docs", "F1", "unparsed", "ungrounded", "unsteady", "failed", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for ref in trials[BARE].schemas:
        table.add_row(ref)
        for who, each in trials.items():
            table.add_row(f"  {who}", *_figures(each.schemas[ref]))
    return table


def _figures(found: "SchemaTrial") -> list[str]:
    times = [each for each in found.seconds if each is not None]
    return [
        str(found.documents),
        f"{found.f1s[0]:.1f}",
        _share(found.unparsed, found.requests),
        _share(found.ungrounded, found.values),
        _share(found.unstable, found.documents),
        str(sum(found.failed.values())),
        f"{statistics.median(times):.2f}" if times else "-",
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _write(target: Path, file: Path, trials: "Mapping[str, Trial]", decision: "Decision | None") -> None:
    from sluice_worker.evaluation import golden_set

    figures: dict[str, Any] = {
        "labels": golden_set.digest(file),
        **{who: each.as_json() for who, each in trials.items()},
    }
    if decision:
        figures["decision"] = {**asdict(decision), "reason": decision.reason}
    with whole_file(target) as out:
        out.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
