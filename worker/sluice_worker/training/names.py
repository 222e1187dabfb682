"""Composes names of people, organisations, places, dates and sums, so that a model has to copy and cannot memorise."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluice_worker.training.phrases import Choice, Number, Phrase, choose, draw_number, parse

_WEIGHT = re.compile(r"(\d+)\* ")


@dataclass(frozen=True, slots=True, eq=False)
class Entity:
    """One thing that a document speaks of. `forms[0]` is its full name; `anaphor` is a pronoun, or empty.

    What stands before a `^` in a form is written but is no part of the name: `the ^Ministry of Trade`.
    """

    kind: str
    entity_type: str
    forms: tuple[str, ...]
    anaphor: str


@dataclass(frozen=True, slots=True)
class _Production:
    delegate: str
    forms: tuple[Phrase, ...]
    anaphor: str
    has_acronym: bool


class Namer:
    """Draws entities from a grammar: a kind is a comma-separated word list or a list of productions.

    A production is `full || short || @acronym ## anaphor`; `=kind` hands over to another kind; `3* ` is a weight.
    """

    def __init__(self, grammar: Mapping[str, str | Sequence[str]], *, types: Mapping[str, str]) -> None:
        self._types = types
        self._productions = {kind: _read_kind(rules) for kind, rules in grammar.items()}

    def kinds_under(self, kind: str) -> frozenset[str]:
        """The kinds that a slot of this kind accepts: itself and all that it hands over to."""
        delegates = {production.delegate for production in self._productions[kind]} - {""}
        return frozenset({kind}).union(*(self.kinds_under(delegate) for delegate in delegates))

    def entity_type(self, kind: str) -> str:
        """The entity type of a kind, or empty where it is a mere quantity or phrase."""
        return self._types.get(kind, "")

    def types_under(self, kind: str) -> list[str]:
        """The entity types that a slot of this kind may take; "" where it may hold what is no entity."""
        delegates = [production.delegate for production in self._productions[kind]]
        found = [self.entity_type(kind)] if "" in delegates else []
        return list(dict.fromkeys(found + [name for each in delegates if each for name in self.types_under(each)]))

    def draw(self, kind: str, rng: random.Random) -> Entity:
        """Compose a new entity."""
        production = choose(rng, self._productions[kind])
        if production.delegate:
            return self.draw(production.delegate, rng)
        drawn: dict[str, str] = {}
        forms = [self._write(form, rng, drawn) for form in production.forms]
        if production.has_acronym:
            forms.append(_acronym(forms[0]))
        distinct = tuple(dict.fromkeys(form for form in forms if len(form) > 1 or form == forms[0]))
        return Entity(kind, self.entity_type(kind), distinct, production.anaphor)

    def _write(self, phrase: Phrase, rng: random.Random, drawn: dict[str, str]) -> str:
        parts: list[str] = []
        for node in phrase:
            if isinstance(node, str):
                parts.append(node)
            elif isinstance(node, Number):
                parts.append(draw_number(node, rng))
            elif isinstance(node, Choice):
                parts.append(self._write(choose(rng, node.options), rng, drawn))
            else:
                if node.name not in drawn:
                    drawn[node.name] = self._symbol(node.name.rstrip("0123456789"), rng)
                parts.append(drawn[node.name])
        return "".join(parts)

    def _symbol(self, kind: str, rng: random.Random) -> str:
        production = choose(rng, self._productions[kind])
        if production.delegate:
            return self._symbol(production.delegate, rng)
        return self._write(production.forms[0], rng, {}).rpartition("^")[2]


def _read_kind(rules: str | Sequence[str]) -> tuple[_Production, ...]:
    if isinstance(rules, str):
        rules = [word for word in re.split(r"[,、]\s*", rules.strip()) if word]
    productions: list[_Production] = []
    for rule in rules:
        weight = _WEIGHT.match(rule)
        body = rule[weight.end() :] if weight else rule
        productions += [_read_production(body)] * (int(weight[1]) if weight else 1)
    return tuple(productions)


def _read_production(rule: str) -> _Production:
    if rule.startswith("="):
        return _Production(rule[1:], (), "", False)
    names, _, anaphor = rule.partition(" ## ")
    forms = names.split(" || ")
    return _Production("", tuple(parse(form) for form in forms if form != "@acronym"), anaphor, "@acronym" in forms)


def _acronym(name: str) -> str:
    initials = "".join(word[0] for word in re.split(r"[ -]", name.rpartition("^")[2]) if word[:1].isupper())
    return initials if len(initials) > 2 else ""
