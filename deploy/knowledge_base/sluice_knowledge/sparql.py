"""SPARQL for readers: nothing is changed, nobody is called, and neither time, memory nor rows are without end."""

import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import orjson

from sluice_knowledge import asking
from sluice_knowledge.graph import Graph
from sluice_knowledge.snapshots import Snapshots
from sluice_schemas.errors import BadInput, Retryable
from sluice_schemas.printable import printable

AT_ONCE = 2
"""Queries that run side by side; others wait for their turn."""

# What the grammar of SPARQL 1.1 lets follow the word in a SERVICE clause (rules 59, 106 and 162): no more is asked, so
# that no string, comment or escape can hide one. A text such as "service: x" is refused with it.
_BETWEEN = r"(?:\s|\#[^\n\r]*[\n\r])*"
_SERVICE = re.compile(
    rf"(?<![?$])service{_BETWEEN}(?:silent{_BETWEEN})?(?:[<?$:]|[^\s<>\"'{{}}()|^`\\]+:)", re.IGNORECASE
)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})")


class TooSlow(Retryable):
    """The query took too long. Ask for less, or say more about what you look for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """SPARQL results as JSON, or N-Triples. `is_cut`: there was more than `asking.MAX_ROWS` rows."""

    media: str
    body: bytes
    is_cut: bool


class Sparql:
    """Answers queries about a graph, each in a process of its own."""

    def __init__(self, graph: Graph) -> None:
        self._snapshots = Snapshots(graph)
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def query(self, text: str, *, timeout_s: float) -> Answer:
        """Over the union of all graphs. Raises `BadInput` or `TooSlow`."""
        if calls_others(text):
            raise BadInput("SERVICE is not allowed here: this knowledge base asks no other server. Leave it out.")
        if not self._turns.acquire(timeout=timeout_s):
            raise TooSlow("Other queries take all the time there is. Ask again later.")
        try:
            with self._snapshots.taken() as snapshot:
                return _answer(_asked(snapshot, text, timeout_s))
        finally:
            self._turns.release()


def calls_others(text: str) -> bool:
    """Whether it could have a SERVICE clause; true for some texts that have none, never false for one that has."""
    return any(_SERVICE.search(each) for each in (text, _ESCAPE.sub(_unescaped, text)))


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[1] or found[2], 16)
    return chr(code) if code < 0x110000 else "\ufffd"


def _asked(snapshot: Path, text: str, timeout_s: float) -> "subprocess.CompletedProcess[bytes]":
    # -I: nothing in the environment or the working directory decides what is imported.
    command = [sys.executable, "-I", str(Path(asking.__file__)), str(snapshot), str(ceil(timeout_s))]
    try:
        return subprocess.run(command, input=text.encode(), capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as exc:
        raise TooSlow(f"The query took more than {timeout_s:g} s. Ask for less, or say more of what you know.") from exc
    except UnicodeEncodeError as exc:
        raise BadInput("The query holds half of a character (a lone surrogate). Send it as UTF-8.") from exc


def _answer(done: "subprocess.CompletedProcess[bytes]") -> Answer:
    if done.returncode == asking.REFUSED:
        fault = printable(done.stdout.decode(errors="replace"))[:300]
        raise BadInput(f"This query cannot be answered: {fault}. Only SELECT, ASK, CONSTRUCT and DESCRIBE are taken.")
    if done.returncode:
        raise TooSlow("The query needed more memory or time than there is. Ask for less.")
    head, _, body = done.stdout.partition(b"\n")
    told = orjson.loads(head)
    return Answer(told["media"], body, told["is_cut"])
