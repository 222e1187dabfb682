"""Reads an answer that is almost JSON. Separate from strict reading, so that scores stay comparable.

Mends what models do wrong: fences and prose around the object, several objects, single, curly and full-width quotes,
full-width punctuation between values, stray commas and brackets, raw control characters, and an end that is missing:
what is open is closed and the half item dropped. What stands between quotes is never changed.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

# Each opening quote with what may close it: models often open and close with the same curly quote.
_QUOTES = {'"': '"', "“": '“”"＂', "”": '“”"＂', "＂": '＂"', "'": "'＇", "‘": "‘’'", "’": "‘’'", "＇": "＇'"}
_OPENERS = {"{": "}", "｛": "}", "[": "]", "［": "]", "【": "]"}
_CLOSERS = {"}": "}", "｝": "}", "]": "]", "］": "]", "】": "]"}
_COMMAS = ",，、"
_COLONS = ":："
_BLANKS = re.compile(r"[\s\ufeff]*")
_LITERAL = re.compile(
    r"(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(?P<name>true|false|null|True|False|None|NaN)"
)
_NEXT_ITEM = re.compile(
    rf"[\s\ufeff]*(?:\Z|[,，、{{}}｛｝\[\]［］【】\"“”＂'‘’＇]|(?:{_LITERAL.pattern})\s*(?:\Z|[,，、}}｝\]］】]))"
)
_NAMES = {"true": True, "True": True, "false": False, "False": False}
_JUNK = re.compile(r".[^,，、{}｛｝\[\]［］【】\"“”＂'‘’＇]*", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "/": "/", "\\": "\\"}
_BRACE = re.compile(r"[{｛]")
_HALF = object()
"""Stands for a value that is not there, or not whole."""

MAX_DEPTH = 32
MAX_OBJECTS = 32
MAX_READ = 300_000
"""Characters after which no further object is tried: each that comes to nothing may have read to the end."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The object that was found. `is_cut` says that the answer ended before it did."""

    value: dict[str, Any]
    is_cut: bool


def repair(raw: str) -> Repaired | None:
    """The object in `raw`; None when there is none. Of several objects the first to answer a key counts."""
    raw = _unwrapped(raw)
    found: dict[str, Any] | None = None
    is_cut = False
    position = read = 0
    for _ in range(MAX_OBJECTS):
        brace = _BRACE.search(raw, position)
        if brace is None or read > MAX_READ:
            break
        reader = _Reader(raw, brace.start())
        value = reader.read_object()
        read += reader.position - brace.start()
        if not value and (reader.has_junk or reader.is_cut):
            position = brace.end()
            continue
        found = {**value, **(found or {})} if found is None else {**found, **_new(value, found)}
        is_cut, position = reader.is_cut, reader.position
    return None if found is None else Repaired(found, is_cut)


def _new(value: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key not in found}


def _unwrapped(raw: str) -> str:
    """The text inside, when the answer is a JSON string that holds the object."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    return value if isinstance(value, str) else raw


class _Reader:
    """Reads one object from `position` on, forgiving everything but a missing opening brace."""

    def __init__(self, raw: str, position: int) -> None:
        self.raw = raw
        self.position = position
        self.is_cut = False
        self.has_junk = False
        self._open: list[str] = []
        self._endless: set[str] = set()
        """Closing quotes of keys that were looked for to the end of the answer: further on there are none either."""

    def read_object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._enter("}")
        while self._goes_on("}"):
            key = self._string(_COLONS) if self._char in _QUOTES else self._junk()
            if key is _HALF or not self._skip(_COLONS):
                continue
            value = self._value()
            if value is not _HALF:
                found[key] = value
        return found

    def _read_array(self) -> list[Any]:
        found: list[Any] = []
        self._enter("]")
        while self._goes_on("]"):
            value = self._value()
            if value is not _HALF:
                found.append(value)
        return found

    def _value(self) -> Any:
        self._blanks()
        if self._is_at_end:
            self.is_cut = True
            return _HALF
        if self._char in _OPENERS and len(self._open) < MAX_DEPTH:
            return self.read_object() if _OPENERS[self._char] == "}" else self._read_array()
        return self._string("") if self._char in _QUOTES else self._literal()

    def _enter(self, closer: str) -> None:
        self._open.append(closer)
        self.position += 1

    def _goes_on(self, closer: str) -> bool:
        """Whether another item stands before the end of the container; leaves the container when none does."""
        while True:
            self._blanks()
            if self._is_at_end:
                self.is_cut = True
                break
            if self._char in _CLOSERS:
                closed = _CLOSERS[self._char]
                if closed != closer and closed in self._open:
                    break  # the closer of this container is missing: the char closes one further out
                self.position += 1
                if closed == closer:
                    break
            elif self._char in _COMMAS:
                self.position += 1
            else:
                return True
        self._open.pop()
        return False

    def _string(self, after: str) -> Any:
        """The string at `position`. A quote ends it only when what follows fits; any other belongs to the text."""
        closers = _QUOTES[self._char]
        if after and closers in self._endless:
            return self._junk()
        start = at = self.position + 1
        while at < len(self.raw):
            if self.raw[at] == "\\":
                at += 1
            elif self.raw[at] in closers and self._ends_string(at + 1, after):
                self.position = at + 1
                return _unescaped(self.raw[start:at])
            at += 1
        if after:
            self._endless.add(closers)
            return self._junk()
        self.position = len(self.raw)
        self.is_cut = True
        return _HALF

    def _ends_string(self, at: int, after: str) -> bool:
        at = _BLANKS.match(self.raw, at).end()  # type: ignore[union-attr]  # the pattern matches everywhere
        if after:
            return self.raw[at : at + 1] in after
        if self.raw[at : at + 1] not in _COMMAS:
            return self.raw[at] in _CLOSERS
        return _NEXT_ITEM.match(self.raw, at + 1) is not None

    def _literal(self) -> Any:
        match = _LITERAL.match(self.raw, self.position)
        if match is None:
            return self._junk()
        self.position = match.end()
        if match["number"] is None:
            return _NAMES.get(match[0])
        if self._is_at_end:
            self.is_cut = True
            return _HALF
        return _number(match[0])

    def _junk(self) -> Any:
        self.has_junk = True
        self.position = _JUNK.match(self.raw, self.position).end()  # type: ignore[union-attr]  # never at the end
        return _HALF

    def _skip(self, chars: str) -> bool:
        self._blanks()
        if self._is_at_end or self._char not in chars:
            return False
        self.position += 1
        return True

    def _blanks(self) -> None:
        self.position = _BLANKS.match(self.raw, self.position).end()  # type: ignore[union-attr]

    @property
    def _char(self) -> str:
        return self.raw[self.position]

    @property
    def _is_at_end(self) -> bool:
        return self.position >= len(self.raw)


def _number(written: str) -> Any:
    """Its value; the text itself where JSON has no such number: 007, or one of thousands of digits."""
    try:
        return json.loads(written)
    except ValueError:
        return written


def _unescaped(text: str) -> str:
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[0]), text)
    if any("\ud800" <= char <= "\udfff" for char in text):  # two escapes may be one character
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text
