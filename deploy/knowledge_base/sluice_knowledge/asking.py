"""Answers one SPARQL query, in a process of its own: `python asking.py SNAPSHOT SECONDS < query`.

On standard output: a line of JSON about the answer, then the answer.
"""

import ctypes
import resource
import sys
from collections.abc import Iterable
from typing import Any

import orjson
import pyoxigraph as ox

MAX_ROWS = 10_000
MAX_BYTES = 32 << 20
MAX_MEMORY_BYTES = 4 << 30
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
REFUSED = 3


def main() -> None:
    """Reads, answers and exits: 0 answered, 3 the query is wrong and its fault is the answer."""
    folder, seconds = sys.argv[1:]
    _confine(int(seconds))
    text = sys.stdin.buffer.read().decode()
    try:
        # A reading instance takes no lock, and writes nothing.
        found = ox.Store.read_only(folder).query(text, use_default_graph_as_union=True)
        media, body, is_cut = _answer(found)
    except (SyntaxError, ValueError) as exc:
        sys.stdout.buffer.write(str(exc).encode())
        sys.exit(REFUSED)
    sys.stdout.buffer.write(orjson.dumps({"media": media, "is_cut": is_cut}) + b"\n" + body)


def _confine(seconds: int) -> None:
    """Bounds that hold when nobody is left to kill this process; and no network, where the system allows that."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A second wall behind the one in `sparql`: Oxigraph offers no way to switch SERVICE off.
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    if unshare is not None:
        unshare(CLONE_NEWUSER | CLONE_NEWNET)


def _answer(found: Any) -> tuple[str, bytes, bool]:
    if isinstance(found, ox.QueryBoolean):
        return "application/sparql-results+json", orjson.dumps({"head": {}, "boolean": bool(found)}), False
    if isinstance(found, ox.QueryTriples):
        lines, is_cut = _bounded(ox.serialize([each], format=ox.RdfFormat.N_TRIPLES) or b"" for each in found)
        return "application/n-triples", b"".join(lines), is_cut
    names = [each.value for each in found.variables]
    rows, is_cut = _bounded(orjson.dumps(_row(names, each)) for each in found)
    head = orjson.dumps({"vars": names})
    body = b'{"head":%b,"results":{"bindings":[%b]},"cut":%b}' % (head, b",".join(rows), orjson.dumps(is_cut))
    return "application/sparql-results+json", body, is_cut


def _bounded(pieces: Iterable[bytes]) -> tuple[list[bytes], bool]:
    kept, size = list[bytes](), 0
    for piece in pieces:
        size += len(piece)
        if len(kept) == MAX_ROWS or size > MAX_BYTES:
            return kept, True
        kept.append(piece)
    return kept, False


def _row(names: Iterable[str], solution: Any) -> dict[str, Any]:
    return {name: _term(term) for name in names if (term := solution[name]) is not None}


def _term(term: Any) -> dict[str, Any]:
    """As in SPARQL 1.1 Query Results JSON Format, section 3.2.2; triples as in the one of 1.2."""
    if isinstance(term, ox.NamedNode):
        return {"type": "uri", "value": term.value}
    if isinstance(term, ox.BlankNode):
        return {"type": "bnode", "value": term.value}
    if isinstance(term, ox.Triple):
        parts = {"subject": term.subject, "predicate": term.predicate, "object": term.object}
        return {"type": "triple", "value": {name: _term(each) for name, each in parts.items()}}
    if term.language:
        return {"type": "literal", "value": term.value, "xml:lang": term.language}
    if term.datatype.value == "http://www.w3.org/2001/XMLSchema#string":
        return {"type": "literal", "value": term.value}
    return {"type": "literal", "value": term.value, "datatype": term.datatype.value}


if __name__ == "__main__":
    main()
