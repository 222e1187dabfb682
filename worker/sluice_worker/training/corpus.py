"""Annotated text to train on: human-labelled files, and the generator's endless supply."""

import gzip
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sluice_schemas.document import Language
from sluice_schemas.errors import Misconfigured
from sluice_worker.protocol.answer import LABEL_KEY, Annotation
from sluice_worker.training import generator

GENERATED = "generated."


@dataclass(frozen=True, slots=True)
class Row:
    """A text with all that is annotated in it: fields `entity`, `relation`, `event` where the source has them.

    `is_partial` says that more stands in the text than is annotated.
    """

    text: str
    language: Language
    annotations: Mapping[str, Annotation]
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Rows under one closed set of labels: what is not annotated in a row of it is not there."""

    name: str
    rows: tuple[Row, ...]
    labels: Mapping[str, tuple[str, ...]]
    """Annotation field -> every label that the source uses."""
    roles: Mapping[str, tuple[str, ...]]
    """Event type -> every role that it takes."""
    types: Mapping[str, tuple[tuple[str, str], ...]]
    """Relation -> every (head type, tail type) that it joins."""


def names(folder: Path, *, split: str) -> list[str]:
    """The data sets in a folder that have this split, sorted."""
    found = (path.name.removesuffix(".gz") for path in folder.iterdir())
    ending = f".{split}.jsonl"
    return sorted({name.removesuffix(ending) for name in found if name.endswith(ending)})


def read(folder: Path, name: str, *, split: str = "train") -> Source:
    """One data set, `<folder>/<name>.<split>.jsonl`, gzipped or not. Raises `Misconfigured` when it is not there."""
    path = folder / f"{name}.{split}.jsonl"
    packed = path.with_name(f"{path.name}.gz")
    if not path.is_file() and not packed.is_file():
        raise Misconfigured(
            f"{path} does not exist, nor {packed.name}. Point --data at the folder of data sets, or drop it from the "
            "recipe."
        )
    with path.open("rb") if path.is_file() else gzip.open(packed) as lines:
        rows = tuple(_checked(path, number, line) for number, line in enumerate(lines, start=1) if line.strip())
    if not rows:
        raise Misconfigured(f"{path} holds no rows. Give it some, or take it away.")
    return of(name, rows)


def _checked(path: Path, number: int, line: bytes) -> Row:
    try:
        return _row(orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise Misconfigured(
            f"{path}, line {number} is no annotated row: {type(exc).__name__} {exc}. It needs `lang`, `text` and a "
            "list `entity`, `relation` or `event`."
        ) from exc


def generated(name: str, *, seed: int, count: int) -> Source:
    """`count` documents of the generator; `name` is `generated.en` or `generated.zh`."""
    language: Language = "zh" if name.endswith("zh") else "en"
    return of(name, tuple(_row(each) for each in generator.generate(language, seed=seed, count=count)))


def of(name: str, rows: tuple[Row, ...]) -> Source:
    """A source of these rows, with its labels in the order of their first appearance."""
    labels: dict[str, dict[str, None]] = {}
    roles: dict[str, dict[str, None]] = {}
    types: dict[str, dict[tuple[str, str], None]] = {}
    for row in rows:
        for field, label, item in _labelled(row):
            labels.setdefault(field, {})[label] = None
            if field == "event":
                roles.setdefault(label, {}).update(dict.fromkeys(each["role"] for each in item["arguments"]))
            if item.get("head_type") and item.get("tail_type"):
                types.setdefault(label, {})[item["head_type"], item["tail_type"]] = None
    return Source(
        name,
        rows,
        {field: tuple(found) for field, found in labels.items()},
        {label: tuple(found) for label, found in roles.items()},
        {label: tuple(found) for label, found in types.items()},
    )


def endless(source: Source, draw: random.Random) -> Iterator[Row]:
    """Every row in random order, again and again; of a generated source new documents for ever."""
    while source.name.startswith(GENERATED):
        for each in generator.generate(source.rows[0].language, seed=draw.getrandbits(32), count=len(source.rows)):
            yield _row(each)
    while True:
        yield from draw.sample(source.rows, len(source.rows))


def joined(first: Row, second: Row) -> Row:
    """Two rows of one source as one longer document."""
    gap = "" if first.language == "zh" else " "
    fields = dict.fromkeys([*first.annotations, *second.annotations])
    merged = {field: [*first.annotations.get(field, ()), *second.annotations.get(field, ())] for field in fields}
    return Row(first.text + gap + second.text, first.language, merged)


def _labelled(row: Row) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for field, items in row.annotations.items():
        for item in items:
            yield field, item[LABEL_KEY[field]], item


def _row(raw: Mapping[str, Any]) -> Row:
    fields = {field: _in_text_order(raw[field]) for field in LABEL_KEY if field in raw}
    return Row(raw["text"], raw["lang"], fields, bool(raw.get("partial")))


def _in_text_order(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: item.get("start", 0))
