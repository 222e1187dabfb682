"""Writes annotated documents of our own, so that a model can be trained without anyone else's text."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from typing import Any, Literal

import yaml

from sluice_worker.training.composition import Composer
from sluice_worker.training.draft import Template, read_template
from sluice_worker.training.names import Namer

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Inventory:
    """The closed set of labels of one language: what a document does not annotate is not in it."""

    entity_types: tuple[str, ...]
    relations: Mapping[str, tuple[tuple[str, str], ...]]
    """Relation name to the (head type, tail type) pairs that it joins."""
    events: Mapping[str, tuple[str, ...]]
    """Event type to its roles."""
    synonyms: Mapping[str, tuple[str, ...]]
    """Label (of an entity type, relation, event type or role) to other names for the same thing."""


def generate(language: Language, *, seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield `count` documents annotated for entities, relations and events, the same for the same seed.

    Each is `{"lang", "text", "entity", "relation", "event"}` with half-open offsets in code points; every value
    occurs verbatim in the text, and every mention of an entity is annotated.
    """
    composer = _composer(language)
    rng = random.Random(f"{language}:{seed}")
    written = 0
    while written < count:
        document = composer.compose(rng)
        if document is not None:
            written += 1
            yield {"lang": language, **document}


@cache
def inventory(language: Language) -> Inventory:
    """The labels that `generate` may use in this language, and their synonyms."""
    namer = _namer(language)
    relations: dict[str, dict[tuple[str, str], None]] = {}
    events: dict[str, dict[str, None]] = {}
    for template in templates(language):
        for head, name, tail in template.relations:
            pairs = product(namer.types_under(template.slots[head]), namer.types_under(template.slots[tail]))
            relations.setdefault(name, {}).update(dict.fromkeys(pairs))
        for name, roles in template.events:
            events.setdefault(name, {}).update(dict.fromkeys(role for role, _ in roles))
    return Inventory(
        tuple(_read(language, "names")["types"]),
        {name: tuple(pairs) for name, pairs in relations.items()},
        {name: tuple(roles) for name, roles in events.items()},
        {label: tuple(others) for label, others in _read(language, "synonyms").items()},
    )


@cache
def templates(language: Language) -> tuple[Template, ...]:
    """Every annotated template of the language, read and checked for balance."""
    source = _read(language, "templates")
    return tuple(read_template(entry, macros=source["macros"]) for entry in source["templates"])


@cache
def _composer(language: Language) -> Composer:
    source = _read(language, "templates")
    macros = source["macros"]
    return Composer(
        _namer(language),
        templates=templates(language),
        fillers=tuple(read_template({"t": text}, macros=macros) for text in source["fillers"]),
        frames=tuple(source["frames"]),
        openings=tuple(read_template({"t": text}, macros=macros) for text in source["openings"]),
        subjects=frozenset(_read(language, "names")["subjects"]),
    )


@cache
def _namer(language: Language) -> Namer:
    names = _read(language, "names")
    types = {kind: entity_type for entity_type, kinds in names["types"].items() for kind in kinds}
    return Namer(names["grammar"], types=types)


def _read(language: Language, part: str) -> Any:
    path = resources.files("sluice_worker.training") / "vocabulary" / f"{language}_{part}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))
