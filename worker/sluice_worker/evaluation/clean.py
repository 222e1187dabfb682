"""What two sides mean rather than what they write: without repeats, and without the ways to say that nothing is there.

The original counts both, so that its own perfect answers do not score 100 (OneKE's protocol, end of section 9).
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from sluice_schemas.schema import Task
from sluice_worker.evaluation.score import Facts, facts
from sluice_worker.protocol.records import ABSENT, EntityRecord, EventRecord, NodeRecord, Record, RelationRecord


def distinct_facts(records: Iterable[Record]) -> Facts:
    """As `facts`, each once: the original's match mode `set`."""
    return {level: Counter(found.keys()) for level, found in facts(records).items()}


def clean_facts(task: Task, records: Iterable[Record]) -> Facts:
    """The distinct facts of records whose absent values are gone.

    "", "NAN" and null are no values, and for KG `无` and `nan` in any case; a trigger that is one is "" on both sides.
    An event without trigger and arguments is none. EEA looks at no trigger: an event counts when it has an argument.
    """
    return distinct_facts(_cleaned(task, records))


def _cleaned(task: Task, records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        match record:
            case EntityRecord() if _is_stated(record.text):
                yield record
            case RelationRecord() if _is_stated(record.head) and _is_stated(record.tail):
                if task != "KG" or not _is_no_attribute(record.tail):
                    yield record
            case NodeRecord() if _is_stated(record.text):
                yield NodeRecord(record.text, record.type, tuple(each for each in record.attributes if each[0]))
            case EventRecord():
                yield from _cleaned_event(task, record)


def _cleaned_event(task: Task, event: EventRecord) -> Iterator[Record]:
    trigger = event.trigger if task != "EEA" and _is_stated(event.trigger) else ""
    arguments = tuple(pair for pair in event.arguments if _is_stated(pair[0]))
    if trigger or arguments:
        yield EventRecord(event.type, trigger, arguments)


def _is_stated(value: object) -> bool:
    return value not in ("", ABSENT, None)


def _is_no_attribute(value: object) -> bool:
    """What the reader of answers leaves out."""
    return isinstance(value, str) and value.lower() in ("无", "nan")
