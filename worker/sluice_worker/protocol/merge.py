"""One prediction from the answers to the label splits of one chunk (OneKE's protocol, section 9, merge)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from sluice_worker.protocol.records import NodeRecord, Record, label_of


def merge(parts: Iterable[Sequence[Record]], labels: Iterable[str]) -> tuple[Record, ...]:
    """The union of the parts by label, in the order of `labels`; labels nobody asked for come last.

    What two parts both say counts once. What one part says twice stays twice: it is a second mention, and training
    answers hold those (two events with one trigger). Entities of a knowledge graph are joined by type and name, their
    attributes in order of appearance.
    """
    by_label: dict[str, list[Record]] = {label: [] for label in labels}
    for record in _joined(_union(parts)):
        by_label.setdefault(label_of(record), []).append(record)
    return tuple(record for records in by_label.values() for record in records)


def _union(parts: Iterable[Sequence[Record]]) -> list[Record]:
    """The multiset union: each record as often as the part that says it most often."""
    kept: list[Record] = []
    seen: Counter[str] = Counter()
    for part in parts:
        here: Counter[str] = Counter()
        for record in part:
            key = repr(record)  # strict records may hold values that cannot be hashed
            here[key] += 1
            if here[key] > seen[key]:
                seen[key] += 1
                kept.append(record)
    return kept


def _joined(records: Sequence[Record]) -> list[Record]:
    joined: dict[tuple[str, str], list[NodeRecord]] = {}
    for record in records:
        if isinstance(record, NodeRecord):
            joined.setdefault((record.type, record.text), []).append(record)
    nodes = {key: NodeRecord(key[1], key[0], _attributes(nodes)) for key, nodes in joined.items()}
    result: list[Record] = []
    for record in records:
        if not isinstance(record, NodeRecord):
            result.append(record)
        elif node := nodes.pop((record.type, record.text), None):
            result.append(node)
    return result


def _attributes(nodes: Sequence[NodeRecord]) -> tuple[tuple[str, str], ...]:
    kept: list[tuple[str, str]] = []
    for node in nodes:
        before = Counter(kept)
        here: Counter[tuple[str, str]] = Counter()
        for pair in node.attributes:
            here[pair] += 1
            if here[pair] > before[pair]:
                kept.append(pair)
    return tuple(kept)
