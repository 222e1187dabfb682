"""`sluice score`: how well the model does on annotated text, through the serving path."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import orjson

from sluice_schemas import shelf
from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Decoding, ExtractionSchema, Task
from sluice_worker.settings import Settings

TASKS: dict[str, Task] = {"entity": "NER", "relation": "RE", "event": "EE"}


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of data sets.")
@click.option("--split", default="dev", show_default=True, help="Score <set>.SPLIT.jsonl, or .jsonl.gz.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Rows of each set, from its start."
)
@click.option("--schema", "ref", metavar="ID", help="Ask by this shipped schema, not for all labels of each set.")
@click.option(
    "--decoding", type=click.Choice(get_args(Decoding)), help="Another level than the schema's or the model's."
)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Also write the figures here.")
def score(data: Path, split: str, limit: int, ref: str | None, decoding: Decoding | None, target: Path | None) -> None:
    """Score the model on annotated data sets.

    Strict micro-F1 by set, every label asked, or those of a schema on the sets in its language. Documents go the way
    that they go in service; how many answers could not be read at all is shown.
    """
    schema = shelf.find(ref) if ref else None
    settings = Settings.read()
    from sluice_worker.engine import load
    from sluice_worker.training import corpus

    names = corpus.names(data, split=split)
    if not names:
        raise BadInput(f"{data} holds no <set>.{split}.jsonl, gzipped or not; say --data or --split otherwise.")
    engine = load.load(settings)
    click.echo(f"{engine.card.name}, strict micro-F1, first {limit} rows of each set\n")
    click.echo(f"{'set':<20}{'task':<5}{'lang':<5}{'rows':>5}  {'level':<9}{'P':>6}{'R':>7}{'F1':>7}{'unparsed':>10}")
    rows: list[dict[str, Any]] = []
    for name in names:
        source = corpus.read(data, name, split=split)
        for task, asked in _asked(source, schema):
            held = asked.model_copy(update={"decoding": decoding or asked.decoding})
            for row in _scored(source, task, held, engine, load.limits(settings, engine.card), limit):
                rows.append(row)
                _tell(row)
    engine.close()
    for task in TASKS.values():
        _mean(task, rows)
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        figures = {"model": engine.card.name, "limit": limit, "sets": rows}
        target.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _asked(source: Any, schema: ExtractionSchema | None) -> Iterator[tuple[Task, ExtractionSchema]]:
    """The tasks that a data set has annotations for, each with what is asked of it."""
    from sluice_worker.evaluation import serve

    language = source.rows[0].language
    for field, task in TASKS.items():
        if source.labels.get(field) and (schema is None or (schema.task, schema.language) == (task, language)):
            yield task, schema or serve.schema_of(source, task, language)


def _scored(
    source: Any, task: Task, schema: ExtractionSchema, engine: Any, limits: Any, limit: int
) -> Iterator[dict[str, Any]]:
    from sluice_worker.evaluation import serve

    started = time.monotonic()
    result = serve.score(engine, serve.cases(source.rows[:limit], schema), limits=limits)
    for level, tally in result.tallies.items():
        yield {
            "set": source.name,
            "task": task,
            "language": schema.language,
            "documents": result.documents,
            "level": level,
            "precision": round(tally.precision, 4),
            "recall": round(tally.recall, 4),
            "f1": round(tally.f1, 4),
            "unparsed": result.unparsed,
            "failed": result.failed,
            "seconds": round(time.monotonic() - started, 1),
        }


def _tell(row: dict[str, Any]) -> None:
    figures = "".join(f"{row[name]:>7.3f}" for name in ("precision", "recall", "f1"))
    click.echo(
        f"{row['set']:<20}{row['task']:<5}{row['language']:<5}{row['documents']:>5}  {row['level']:<8}{figures}"
        f"{row['unparsed']:>10}"
    )


def _mean(task: Task, rows: list[dict[str, Any]]) -> None:
    for level in dict.fromkeys(row["level"] for row in rows if row["task"] == task):
        scores = [row["f1"] for row in rows if row["task"] == task and row["level"] == level]
        click.echo(f"mean {task} {level}: {sum(scores) / len(scores):.3f} over {len(scores)} sets")
