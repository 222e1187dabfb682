"""`sluice convert`: annotated documents to the questions and answers that OneKE is trained and tested with."""

import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click

from sluice_schemas import shelf
from sluice_schemas.document import Language
from sluice_schemas.errors import BadInput
from sluice_schemas.schema import REF, ExtractionSchema, Task, Type
from sluice_schemas.whole_file import whole_file
from sluice_worker.commands.output import check_target

BAD_LINES = 1
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"token_normalize_func": lambda name: name.replace("_", "-")})
@click.argument("src", type=_FILE, required=False)
@click.argument("tgt", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--src-path", type=_FILE, hidden=True)
@click.option("--tgt-path", type=click.Path(dir_okay=False, path_type=Path), hidden=True)
@click.option(
    "--schema",
    "--schema-path",
    "schema",
    required=True,
    metavar="SCHEMA",
    help="Labels: see above for its three kinds.",
)
@click.option("--task", type=click.Choice(get_args(Task)), help="Default: the YAML schema's, else NER.")
@click.option("--language", type=click.Choice(get_args(Language)), help="Default: the YAML schema's, else zh.")
@click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True, help="What to make.")
@click.option("--split-num", type=int, help="Labels a record, -1 for all. Default: the YAML schema's, else 4.")
@click.option("--neg-schema", type=float, default=1.0, show_default=True, help="Share of absent labels to ask for.")
@click.option("--random-sort", is_flag=True, help="Shuffle the labels; else by code point.")
@click.option("--hard-negatives", type=_FILE, help="JSON file: for each label those easily taken for it.")
@click.option("--cluster-mode", is_flag=True, hidden=True)
@click.option("--hard-negative-path", type=_FILE, hidden=True)
@click.option("--source", help="Name of the data set. Default: the folder of SRC.")
@click.option("--seed", type=int, default=42, show_default=True, help="Equal seeds, equal files.")
@click.option("--described", is_flag=True, help="Put the YAML schema's descriptions into each record.")
@click.option("--examples", is_flag=True, help="Put the YAML schema's examples into each record.")
@click.option("--text-order", is_flag=True, help="Answers in text order, not in the annotation's.")
@click.option("--compatible", is_flag=True, help="As OneKE's own converter does it, losses included.")
def convert(**options: Any) -> None:
    """Convert annotated documents to OneKE's training or test records.

    SRC is JSON Lines, a `text` and its annotation a line, or such a file gzipped (*.gz); TGT is made whole or not at
    all. SCHEMA is OneKE's three-line schema.json, a YAML schema of ours, or a shipped schema (id@version). OneKE's
    own option names (--src_path --tgt_path --schema_path --cluster_mode --hard_negative_path ...) work too.

    A bad line is reported with its number and left out; then the exit code is 1.
    """
    source, target = _files(options)
    options["source"] = options["source"] or Path(os.path.abspath(source)).parent.name
    lines = _lines(options)
    from sluice_worker.conversion.convert import convert as run

    with _opened(source) as annotated, whole_file(target) as records:
        count = run(
            annotated,
            records,
            lines=lines,
            report=lambda number, problem: click.echo(f"{source}, line {number}: {problem}", err=True),
        )
    click.echo(
        f"{count.documents} documents, {count.records} records; "
        f"{count.skipped} documents skipped (nothing to ask), {count.bad} bad lines left out",
        err=True,
    )
    if count.bad:
        click.get_current_context().exit(BAD_LINES)


@contextmanager
def _opened(source: Path) -> Iterator[Iterable[bytes]]:
    try:
        with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError) as exc:
        raise BadInput(f"{source} is no whole gzip file: {exc}") from exc


def _files(options: dict[str, Any]) -> tuple[Path, Path]:
    for name in ("src", "tgt"):
        if bool(options[name]) == bool(options[f"{name}_path"]):
            raise click.UsageError("Give SRC and TGT, the one to read and the one to write, once each.")
    source, target = options["src"] or options["src_path"], options["tgt"] or options["tgt_path"]
    check_target(target, source)
    return source, target


def _lines(options: dict[str, Any]) -> Any:
    from sluice_worker.conversion.behaviour import LOSSLESS, ORIGINAL
    from sluice_worker.conversion.convert import Wishes, converter

    behaviour = ORIGINAL if options["compatible"] else LOSSLESS
    schema = _schema(options["schema"])
    task: Task = _agreed("task", options, schema, "NER")
    wishes = Wishes(
        task=task,
        language=_agreed("language", options, schema, "zh"),
        split=options["split"],
        split_num=_split_num(options["split_num"], schema),
        neg_schema=options["neg_schema"],
        random_sort=options["random_sort"],
        rivals=_rivals(options, task),
        seed=options["seed"],
        source=options["source"],
        is_described=options["described"],
        examples=schema.examples if schema and options["examples"] else (),
        text_order=options["text_order"],
    )
    return converter(wishes, _types(options, schema, task, behaviour), behaviour=behaviour)


def _schema(name: str) -> ExtractionSchema | None:
    """A schema of ours; None when `name` is the path of a three-line file."""
    if name.endswith((".yaml", ".yml")):
        return shelf.load(Path(name))
    return shelf.find(name) if REF.fullmatch(name) and not Path(name).exists() else None


def _types(options: dict[str, Any], schema: ExtractionSchema | None, task: Task, behaviour: Any) -> tuple[Type, ...]:
    from sluice_worker.conversion import labels

    if schema:
        if options["examples"] and not schema.examples:
            raise BadInput(f"{schema.ref} has no examples; add some, or leave --examples out.")
        return schema.types
    if options["described"] or options["examples"]:
        raise BadInput("Descriptions and examples stand in YAML schemas only; give one with --schema.")
    lines = labels.read(Path(options["schema"]))
    types: tuple[Type, ...] = (
        behaviour.training_types(task, lines) if options["split"] == "train" else labels.types_of(task, lines)
    )
    if not types:
        click.echo(f"note: {options['schema']} names no label for {task}; is it the schema of another task?", err=True)
    return types


def _agreed(name: str, options: dict[str, Any], schema: ExtractionSchema | None, default: str) -> Any:
    """The task or the language, which the command line and the schema may both name."""
    given = options[name]
    if schema is None:
        return given or default
    own = getattr(schema, name)
    if given not in (None, own):
        raise BadInput(f"--{name} says {given}, {schema.ref} says {own}; leave --{name} out, or take another schema.")
    return own


def _split_num(given: int | None, schema: ExtractionSchema | None) -> int:
    if given is not None:
        return given
    return schema.labels_per_request if schema else 4


def _rivals(options: dict[str, Any], task: Task) -> Any:
    """Hard negatives, which only training asks for; OneKE's own option names a file without using it."""
    from sluice_worker.conversion.negatives import read_rivals

    path = options["hard_negatives"]
    if options["cluster_mode"]:
        path = path or options["hard_negative_path"]
        if path is None:
            raise BadInput("--cluster_mode needs --hard_negative_path, a JSON file of hard negatives.")
    if path is None or options["split"] == "test":
        return None
    return read_rivals(path, task=task, source=options["source"])
