"""Valid input made wrong in one place: random bytes alone would never get past the first brace."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Raw:
    """A piece of JSON as it is written, right or wrong."""

    text: str


class Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a key may stand twice."""


WHOLES = (
    *(
        "null",
        "true",
        "0",
        "-1",
        "1.0",
        "007",
        "-",
        "1e999",
        "NaN",
        "-Infinity",
        "-0.0",
        "9" * 25,
        "9" * 400,
        "9" * 5000,
        "[]",
        "{}",
    ),
    *(
        '""',
        '" "',
        '"\\ud800"',
        '"\\u0000"',
        '"\\ufeff"',
        '"\\ud83d\\ude00"',
        '"x\\ny"',
        '"0x1"',
        '"1_0"',
        '"' + "9" * 25 + '"',
    ),
    *(
        '{"v":2}',
        '{"v":1,"v":1}',
        '{"":{"":[]}}',
        "[[[[1]]]]",
        *("[" * depth + "]" * depth for depth in (246, 248, 250, 252)),
        "[" * 1010 + "]" * 1010,
    ),
    *('{"a":' * 240 + "1" + "}" * 240, "[" * 100_000, '{"a":' * 5000, '"' + "x" * 5000 + '"', '"{\\"a\\": [1,]}"'),
)
"""What stands where something else belongs."""

SNIPPETS = (
    *(
        "\x00",
        "\ufeff",
        "\u2028",
        "\u202e",
        "e\u0301",
        "👩‍🔬",
        "\x1b[31m",
        "“",
        "”",
        "，",
        "【",
        "｛",
        '"',
        "'",
        "\\",
        "\\u",
        "\\ud800",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\n",
        "\r",
        "\t",
        " ",
        "=",
        "<",
        "#",
        "- ",
        "? ",
        "|",
        "&a ",
        "*a",
        "!!bool x",
        "!!set [a]",
    ),
    *(
        "!!int ''",
        "!!timestamp x",
        "<<: [1]",
        "---\n",
        "%YAML 9.9\n",
        "2024-02-31",
        "0x" + "f" * 5000,
        "1" + ":59" * 400,
        "1:1" * 9 + ".5",
    ),
    *("." * 50 + "x", '"a ' * 40, "\u0301\u0316" * 40, "NAN", "无", "None", "</s>", "9" * 5000),
)
"""What is put between two characters."""


def mutated(raw: bytes, random: Random) -> bytes:
    """`raw` with one to three faults, in its structure where it has one."""
    for _ in range(random.randint(1, 3)):
        raw = random.choice((_in_structure, _in_structure, _in_structure, _in_text, _in_bytes))(raw, random)
    return raw


def _in_structure(raw: bytes, random: Random) -> bytes:
    """Of several lines one is taken: the inputs that are no JSON are mostly JSON by lines."""
    try:
        return _changed(raw.decode(), random).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        lines = raw.split(b"\n")
        if len(lines) < 2:
            return _in_text(raw, random)
        place = random.randrange(len(lines))
        lines[place] = _in_structure(lines[place], random)
        return b"\n".join(lines)


def _in_text(raw: bytes, random: Random) -> bytes:
    text = raw.decode("utf-8", "surrogateescape")
    start = random.randint(0, len(text))
    end = min(len(text), start + random.choice((0, 0, 1, 5)))
    changed = text[:start] + random.choice(SNIPPETS) + text[end:]
    return changed.encode("utf-8", "surrogateescape")


def _in_bytes(raw: bytes, random: Random) -> bytes:
    place = random.randint(0, len(raw))
    faults: Sequence[Callable[[], bytes]] = (
        lambda: b"\xef\xbb\xbf" + raw,
        lambda: raw.decode("utf-8", "replace").encode("utf-16"),
        lambda: raw[:place],
        lambda: raw[place:],
        lambda: raw + raw,
        lambda: raw[:place] + random.choice((b"\xff", b"\xed\xa0\x80", b"\xc3", b"\x00", b"\n")) + raw[place:],
    )
    return random.choice(faults)()


def _changed(text: str, random: Random) -> str:
    """JSON with one place of it changed. Raises `ValueError` or `RecursionError` for what cannot be read."""
    root = [json.loads(text, object_pairs_hook=Object)]
    holder, index = random.choice([*_places(root)])
    random.choice(_CHANGES)(holder, index, random, [*_places(root)])
    return ",".join(map(_written, root))


def _places(holder: list[Any]) -> list[tuple[list[Any], int]]:
    found = []
    for index, item in enumerate(holder):
        found.append((holder, index))
        value = item[1] if isinstance(holder, Object) else item
        if isinstance(value, list):
            found += _places(value)
    return found


def _value(holder: list[Any], index: int) -> Any:
    return holder[index][1] if isinstance(holder, Object) else holder[index]


def _put(holder: list[Any], index: int, value: Any) -> None:
    holder[index] = (holder[index][0], value) if isinstance(holder, Object) else value


Places = Sequence[tuple[list[Any], int]]


def _replace(holder: list[Any], index: int, random: Random, places: Places) -> None:
    _put(holder, index, Raw(random.choice(WHOLES)))


def _swap(holder: list[Any], index: int, random: Random, places: Places) -> None:
    _put(holder, index, Raw(_written(_value(*random.choice(places)))))


def _drop(holder: list[Any], index: int, random: Random, places: Places) -> None:
    del holder[index]


def _double(holder: list[Any], index: int, random: Random, places: Places) -> None:
    holder.insert(index, holder[index])


def _rename(holder: list[Any], index: int, random: Random, places: Places) -> None:
    if isinstance(holder, Object):
        holder[index] = (random.choice(("", "v", "x", "\ud800", "k" * 300, "__class__")), holder[index][1])


def _wrap(holder: list[Any], index: int, random: Random, places: Places) -> None:
    value = _value(holder, index)
    _put(holder, index, random.choice(([value], Object([("a", value)]))))


def _inside(holder: list[Any], index: int, random: Random, places: Places) -> None:
    """A string is changed within; where it holds JSON of its own, mostly there."""
    value = _value(holder, index)
    if isinstance(value, str):
        _put(holder, index, _in_structure(value.encode("utf-8", "surrogatepass"), random).decode("utf-8", "replace"))


_CHANGES = (_replace, _replace, _swap, _drop, _double, _rename, _wrap, _inside, _inside, _inside)


def _written(value: Any) -> str:
    match value:
        case Raw(text):
            return text
        case Object():
            return "{" + ",".join(f"{json.dumps(name)}:{_written(each)}" for name, each in value) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
