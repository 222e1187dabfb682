"""The labels that documents can be asked for, out of OneKE's three-line schema file (its protocol, section 1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.schema import Part, Task, Type


@dataclass(frozen=True, slots=True)
class SchemaLines:
    """What stands in the file, without duplicates, in file order: two lists, and lists by name."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]


def read(path: Path) -> SchemaLines:
    """The first three lines; lines left out at the end are empty. Raises `NotFound`, or `BadInput` with the line."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except FileNotFoundError as exc:
        raise NotFound(f"There is no schema file {path}; check --schema.") from exc
    first, second, third = (_json(line, f"{path}, line {number}") for number, line in enumerate(_three(lines), 1))
    if not isinstance(third or {}, dict):
        raise BadInput(f"{path}, line 3: this is no object of lists; write {{}} when the task needs none.")
    parts = {name: _names(each, f"{path}, line 3") for name, each in (third or {}).items()}
    return SchemaLines(_names(first, f"{path}, line 1"), _names(second, f"{path}, line 2"), parts)


def types_of(task: Task, lines: SchemaLines) -> tuple[Type, ...]:
    """The task's label set in the order of the file. Event types that line 3 lacks come last, without roles."""
    match task:
        case "NER" | "EET" | "SPO":
            return tuple(named(task, name) for name in lines.first)
        case "RE":
            return tuple(named(task, name) for name in lines.second)
        case "EE":
            without = {name: () for name in lines.first if name not in lines.parts}
            return tuple(with_parts(task, named(task, name), own) for name, own in {**lines.parts, **without}.items())
    return tuple(with_parts(task, named(task, name), own) for name, own in lines.parts.items())


def named(task: Task, name: str) -> Type:
    """A label by its name alone; an SPO name is cut at its first and last underscore.

    Names of such files are not held to the rules of our own schemas, and so not validated.
    """
    if task != "SPO":
        return Type.model_construct(name=name)
    subject, _, rest = name.partition("_")
    predicate, _, object_type = rest.rpartition("_")
    if not subject or not predicate or not object_type:
        raise BadInput(f"{name!r} is no typed relation; write subjectType_predicate_objectType.")
    return Type.model_construct(name=predicate, subject_type=subject, object_type=object_type)


def parts_of(task: Task, each: Type) -> tuple[str, ...]:
    """The names of a label's roles, or for KG of its attributes, in schema order."""
    return tuple(part.name for part in (each.attributes if task == "KG" else each.roles))


def with_parts(task: Task, each: Type, names: Iterable[str]) -> Type:
    """The label with these roles or attributes; those that it has keep their descriptions."""
    own = {part.name: part for part in (each.attributes if task == "KG" else each.roles)}
    parts = tuple(own.get(name) or Part.model_construct(name=name) for name in names)
    return each.model_copy(update={"attributes" if task == "KG" else "roles": parts})


def _three(lines: Sequence[bytes]) -> list[bytes]:
    return [*lines, b"", b"", b""][:3]


def _json(line: bytes, where: str) -> Any:
    try:
        return orjson.loads(line) if line.strip() else None
    except orjson.JSONDecodeError as exc:
        raise BadInput(
            f"{where}: this is not JSON ({exc}). OneKE's schema files hold one JSON value a line; "
            "name one of ours by its id@version, or give it the ending .yaml."
        ) from exc


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value or [], list) or not all(isinstance(name, str) for name in value or []):
        raise BadInput(f"{where}: this is no list of strings; write [] when the task needs none.")
    return tuple(dict.fromkeys(value or []))
