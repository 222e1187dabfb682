"""The extraction schemas that ship, and the one way a schema is read from YAML."""

import difflib
import functools
from collections.abc import Hashable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.schema import ExtractionSchema

MAX_NUMBER = 100
"""Characters. Python writes no number of thousands of digits, and 1:59:59:..., a number too, takes their square."""


def load(source: Path | str) -> ExtractionSchema:
    """Reads a schema from a YAML (or JSON) file, given as a `Path`, or from its text, given as a `str`.

    Raises `NotFound` for a missing file, else `BadInput`; both name the file, and the line or the field.
    """
    where = str(source) if isinstance(source, Path) else "the schema"
    try:
        return ExtractionSchema.of(_parse(_text(source)))
    except BadInput as exc:
        raise type(exc)(f"{where}: {exc}") from exc


@functools.cache
def library() -> Mapping[str, ExtractionSchema]:
    """Every schema that ships, by its `id@version`, in the order of the ids."""
    return shelve(_folder())


def shelve(folder: Path) -> Mapping[str, ExtractionSchema]:
    """Every schema below `folder` by its ref. A file is named after its schema's id, with `@version` where two stand.

    Raises `BadInput` when a file is not valid or is named otherwise.
    """
    found: dict[str, ExtractionSchema] = {}
    for path in sorted(folder.rglob("*.yaml")):
        schema = load(path)
        name = path.relative_to(folder).with_name(path.name.removesuffix(".yaml")).as_posix()
        if name not in (schema.id, schema.ref):
            raise BadInput(f"{path}: id: it says {schema.id!r}, the file's name says {name!r}; make them equal.")
        if schema.ref in found:
            raise BadInput(f"{path}: version: {schema.ref} stands in two files; give one a new version.")
        found[schema.ref] = schema
    return MappingProxyType(found)


def find(ref: str, *, among: Mapping[str, ExtractionSchema] | None = None) -> ExtractionSchema:
    """The schema of that exact `id@version`, of those that ship unless others are given.

    Raises `NotFound`, which names what comes close.
    """
    known = library() if among is None else among
    if ref in known:
        return known[ref]
    raise NotFound(f"There is no schema {ref!r}. {_advice(ref, known)}")


def _advice(ref: str, known: Mapping[str, ExtractionSchema]) -> str:
    schema_id = ref.partition("@")[0]
    versions = [schema.version for schema in known.values() if schema.id == schema_id]
    if versions:
        return f"A reference is exact, id@version; the newest is {schema_id}@{max(versions)}."
    close = difflib.get_close_matches(ref, known, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return "`sluice schemas list` shows what there is."


def _folder() -> Path:
    """In a wheel the library lies in the package; in a checkout, beside it."""
    packaged = Path(__file__).with_name("library")
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "library"


def _text(source: Path | str) -> str:
    if isinstance(source, str):
        return source
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise BadInput(f"byte {exc.start} is not UTF-8; save the file as UTF-8.") from exc
    except OSError as exc:
        raise NotFound(f"the file cannot be read ({exc.strerror}); check the path.") from exc


def _parse(text: str) -> object:
    try:
        reader = _Reader(text)
        try:
            return reader.get_single_data()
        finally:
            reader.dispose()
    except yaml.MarkedYAMLError as exc:
        line = f"line {exc.problem_mark.line + 1}: " if exc.problem_mark else ""
        raise BadInput(f"{line}this is not valid YAML: {exc.problem or exc.context}.") from exc
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: a date such as 2024-02-31
        raise BadInput(f"this is not valid YAML: {exc}.") from exc
    except RecursionError as exc:
        raise BadInput("it is nested too deeply; a schema needs six levels.") from exc


class _Reader(yaml.SafeLoader):
    """YAML without what hides content: keys given twice, tags, and aliases, which can also grow without end."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("an alias (*name); write the content out", event)
        if getattr(event, "tag", None) is not None:  # PyYAML stumbles over many: `!!bool x`, `!!set [a]`
            raise _refusal(f"a tag ({event.tag}); write the value without it", event)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag.endswith((":int", ":float")) and len(node.value) > MAX_NUMBER:
            raise _refusal(f"a number of {len(node.value)} characters; put a text between quotes", node)
        return super().construct_object(node, deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # refused below, with its own message
            if key in seen:
                raise _refusal(f"the key {key!r} stands twice; keep one", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _refusal(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=at.start_mark)
