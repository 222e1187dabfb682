"""A grammar for each request, in llguidance's Lark form: the answer's skeleton with the schema's keys in order.

At the level `json` values are any JSON strings; at `grounded` every value is a verbatim piece of the text, or NAN where
the protocol allows it. The separators are the ones that the model was trained to write (OneKE's protocol, section 8).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from sluice_schemas.schema import Task
from sluice_worker.protocol.records import ABSENT

Level = Literal["json", "grounded"]

# "\d" and "." would match more than JSON allows; control characters must be escaped (DEL is none to JSON).
_JSON_STRING = r'VALUE: /([^"\\\x00-\x1f]|\\["\\\/bfnrt]|\\u[0-9a-fA-F]{4})+/'
# A substring may be empty; a value may not.
_SUBSTRING = "VALUE: PIECE & /(?s:.)+/\nPIECE: %regex "
# Quotes belong to the terminals: the lexer never goes back, and `"N` may begin "NAN" as well as a value.
_LIST = 'values: "[]" | "[" QUOTED (", " QUOTED)* "]"\nQUOTED: "\\"" VALUE "\\""'
_SOME = 'some: QUOTED | "[" QUOTED (", " QUOTED)+ "]"'
_FILLER = f'FILLER: QUOTED | "\\"{ABSENT}\\""\nfiller: FILLER | "[" QUOTED (", " QUOTED)+ "]"'


def grammar(task: Task, schema: Any, text: str, *, level: Level) -> str:
    """The grammar of the answer to an instruction with this `schema` value over this `text`."""
    lines = [f"start: {_start(task, schema)}", *_rules(task, schema), _LIST, _value(text, level)]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _value(text: str, level: Level) -> str:
    if level == "json":
        return _JSON_STRING
    # Escaped one by one: raw text would let a quote end the string, and a cut might part an escape.
    escaped = {char: _escaped(char) for char in set(text)}
    # Any character may be a value's first or last: in 21 of 26,991 rows of the dev sets annotators cut a word ("ctx" in
    # "ctx1.2", a plural's stem, a slip), and a value that the grammar lacks is out of every model's reach.
    return _SUBSTRING + json.dumps({"substring_chunks": [escaped[char] for char in text]}, ensure_ascii=False)


def _start(task: Task, schema: Any) -> str:
    """`{"label": answer, "label": answer}` with the labels in the order in which they are asked.

    Tokenizers of LLaMA's kind begin every text with a space: models were trained to begin their answers with one.
    """
    labels = dict.fromkeys(_label(item) for item in schema)
    return f"{_quoted(' ')}? " + _object(f"{_key(label, i)} {_rule(task, i)}" for i, label in enumerate(labels))


def _label(item: Any) -> str:
    """The answer's key for one item of a schema; a described schema is an object, whose keys are the labels."""
    if isinstance(item, str):
        return item
    label: str = item.get("predicate") or item.get("event_type") or item["entity_type"]
    return label


def _rule(task: Task, index: int) -> str:
    if task in ("NER", "EET"):
        return "values"
    return "triples" if task in ("RE", "SPO") else f"answer{index}"


def _rules(task: Task, schema: Any) -> Iterator[str]:
    match task:
        case "RE" | "SPO":
            ends = ("head", "tail") if task == "RE" else ("subject", "object")
            yield _listed("triples", "triple")
            yield f"triple: {_object(f'{_key(end, i)} QUOTED' for i, end in enumerate(ends))}"
        case "EE" | "EEA":
            for index, roles in enumerate(_parts(schema, "arguments")):
                yield from _event(index, roles)
        case "KG":
            for index, attributes in enumerate(_parts(schema, "attributes")):
                yield from _node(index, attributes)


def _parts(schema: Any, key: str) -> Iterator[Sequence[str]]:
    """The roles or attributes of each label, in the list form and in the described one."""
    for item in schema:
        yield [*(schema[item] if isinstance(schema, dict) else item)[key]]


def _event(index: int, roles: Sequence[str]) -> Iterator[str]:
    filled = _object(f"{_key(role, i)} filler" for i, role in enumerate(roles))
    yield _listed(f"answer{index}", f"event{index}")
    parts = [_key("trigger", 0), "FILLER", _key("arguments", 1), f"filled{index}"]
    yield f"event{index}: {_object(parts)}"
    yield f"filled{index}: {_quoted('{}')}" + (f" | {filled}" if roles else "")
    yield _FILLER


def _node(index: int, attributes: Sequence[str]) -> Iterator[str]:
    """Entities with the attributes that they have, in order: any of them may be left out."""
    node, entity, rest = f"answer{index}", f"entity{index}", f"rest{index}"
    more = f"{_quoted(', ')} {entity}"
    yield f"{node}: {_quoted('{}')} | {_quoted('{')} {entity} ({more})* {_quoted('}')}"
    firsts = (f"{_key(name, 0)} some {rest}x{i + 1}" for i, name in enumerate(attributes))
    yield f"{entity}: QUOTED {_quoted(': ')} ({_quoted('{}')} | {_quoted('{')} ({' | '.join(firsts)}) {_quoted('}')})"
    for i, name in enumerate(attributes):
        yield f"{rest}x{i}: ({_key(name, 1)} some)? {rest}x{i + 1}"
    yield f'{rest}x{len(attributes)}: ""'
    yield _SOME


def _listed(name: str, item: str) -> str:
    return f"{name}: {_quoted('[]')} | {_quoted('[')} {item} ({_quoted(', ')} {item})* {_quoted(']')}"


def _object(pairs: Iterable[str]) -> str:
    return " ".join([_quoted("{"), *pairs, _quoted("}")])


def _key(name: str, index: int) -> str:
    """A key as a literal, with the comma that parts it from the pair before."""
    return _quoted(f"{', ' if index else ''}{json.dumps(name, ensure_ascii=False)}: ")


def _escaped(text: str) -> str:
    """A string as it stands between the quotes of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _quoted(text: str) -> str:
    """A Lark string literal."""
    return json.dumps(text, ensure_ascii=False)
