"""The small template language of the synthetic training text: literals, slots and choices.

`{p:person}` is a slot, `[a|b|]` one of several wordings, `[!bought|took over]` the same and the trigger of the
template's first event (`[!!..]` of its second), `<when d>` a macro, `{#1-31}` a number.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
_NUMBER = re.compile(r"#([.,0]?)(\d+)-(\d+)")
_MACRO = re.compile(r"<(\w+)((?: \w+)*)>")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one entity; `kind` is empty where the name was bound earlier in the same template."""

    name: str
    kind: str
    is_named: bool


@dataclass(frozen=True, slots=True)
class Number:
    """A random number in [low, high]; `style` is "" plain, "," grouped, "." with one decimal, "0" of two digits."""

    style: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several wordings; `trigger` is the index of the event that the wording triggers, or -1."""

    options: tuple["Phrase", ...]
    trigger: int


Phrase = tuple[str | Slot | Number | Choice, ...]


def choose(rng: random.Random, items: Sequence[Item]) -> Item:
    """One item, uniformly; several times faster than `Random.choice`."""
    return items[int(rng.random() * len(items))]


def expand_macros(text: str, macros: Mapping[str, str]) -> str:
    """Replace `<name a b>` by the macro's text, in which `$1`, `$2` stand for the names given."""
    while match := _MACRO.search(text):
        body = macros[match[1]]
        for index, name in enumerate(match[2].split(), start=1):
            body = body.replace(f"${index}", name)
        text = text[: match.start()] + body + text[match.end() :]
    return text


def parse(text: str) -> Phrase:
    """Read a template. Raises ValueError where a bracket is open or a number is malformed."""
    phrase, end = _parse_until(text, 0, "")
    if end != len(text):
        raise ValueError(f"unbalanced bracket at {end} in template {text!r}: close or remove it")
    return phrase


def _parse_until(text: str, start: int, stops: str) -> tuple[Phrase, int]:
    nodes: list[str | Slot | Number | Choice] = []
    at = literal = start
    while at < len(text) and text[at] not in (stops or "]"):
        if text[at] not in "{[":
            at += 1
            continue
        if at > literal:
            nodes.append(text[literal:at])
        node, at = _parse_slot(text, at) if text[at] == "{" else _parse_choice(text, at)
        nodes.append(node)
        literal = at
    if at > literal:
        nodes.append(text[literal:at])
    return tuple(nodes), at


def _parse_slot(text: str, start: int) -> tuple[Slot | Number, int]:
    end = text.find("}", start)
    if end < 0:
        raise ValueError(f"slot without its closing brace in template {text!r}")
    body = text[start + 1 : end]
    if body.startswith("#"):
        number = _NUMBER.fullmatch(body)
        if number is None:
            raise ValueError(f"malformed number {body!r} in template {text!r}: write #low-high")
        return Number(number[1], int(number[2]), int(number[3])), end + 1
    name, _, kind = body.partition(":")
    return Slot(name, kind.removesuffix("!"), body.endswith("!")), end + 1


def _parse_choice(text: str, start: int) -> tuple[Choice, int]:
    at = start + 1
    trigger = -1
    while text[at] == "!":
        trigger += 1
        at += 1
    options: list[Phrase] = []
    while True:
        option, at = _parse_until(text, at, "|]")
        options.append(option)
        if at >= len(text):
            raise ValueError(f"choice without its closing bracket in template {text!r}")
        at += 1
        if text[at - 1] == "]":
            return Choice(tuple(options), trigger), at


def slots_of(phrase: Phrase) -> dict[str, str]:
    """The kinds of the slots that a phrase introduces, by name, those in optional wordings too."""
    found: dict[str, str] = {}
    for node in phrase:
        if isinstance(node, Slot) and node.kind:
            found.setdefault(node.name, node.kind)
        elif isinstance(node, Choice):
            for option in node.options:
                for name, kind in slots_of(option).items():
                    found.setdefault(name, kind)
    return found


def draw_number(number: Number, rng: random.Random) -> str:
    """Write a random number in its style."""
    value = number.low + int(rng.random() * (number.high - number.low + 1))
    if number.style == ".":
        return f"{value}.{int(rng.random() * 10)}"
    return format(value, {"": "d", ",": ",d", "0": "02d"}[number.style])
