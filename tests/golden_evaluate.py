"""Checks for the vector kinds `eval` and `metric`: the original's scores, counts and result file."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from sluice_schemas.schema import Task
from sluice_worker.evaluation import counting, oneke
from sluice_worker.evaluation.predictions import Document, Predictions, read
from sluice_worker.evaluation.rules import Rules
from sluice_worker.protocol.records import EntityRecord, EventRecord, Record, RelationRecord

_COUNT_PREFIXES = {"trigger": "event_", "argument": "arg_"}


def check_eval(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    """The lines of a prediction file; the result file is compared with its keys in order."""
    arguments, expected = case["args"], case["expected"]
    rules = Rules(arguments["task"], arguments["match_mode"])
    lines = [json.dumps(line, ensure_ascii=False).encode() for line in case["input"]["lines"]]
    predictions = read(lines, task=rules.task, parse=rules.parse, sort_by=arguments["sort_by"])
    counts = counting.count(predictions, rules.claims)
    groups = counting.sections(predictions, counts) if arguments["sort_by"] else []
    whole = counting.total(predictions, counts)
    yield from (f"bad {line}" for line in predictions.bad_lines)
    yield from _differ("result", _ordered(oneke.result(rules.task, whole, groups)), _ordered(expected["result"]))
    yield from _differ("counts", _counts(whole), expected["total_counts"])


def check_metric(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    """Records of documents, without a file around them."""
    rules = Rules(case["task"], case["match_mode"])
    record = _RECORDS[rules.task]
    documents = {
        ("", str(number)): Document(
            "", [record(*each) for each in found["gold"]], 0, [record(*each) for each in found["pred"]]
        )
        for number, found in enumerate(case["docs"])
    }
    predictions = Predictions(rules.task, documents)
    whole = counting.total(predictions, counting.count(predictions, rules.claims))
    result = oneke.result(rules.task, whole)[oneke.TOTAL]
    yield from _differ("result", _ordered(result), _ordered(case["expected"]["result"]))
    yield from _differ("counts", _counts(whole), case["expected"]["counts"])


def _event(kind: str, trigger: str, arguments: list[list[Any]]) -> Record:
    return EventRecord(kind, trigger, tuple((value, role) for value, role in arguments))


_RECORDS: dict[Task, Callable[..., Record]] = {
    "NER": EntityRecord,
    "RE": RelationRecord,
    "SPO": RelationRecord,
    "KG": RelationRecord,
    "EE": _event,
    "EEA": _event,
    "EET": lambda trigger, kind: EventRecord(kind, trigger),
}


def _counts(whole: counting.Section) -> dict[str, int]:
    found: dict[str, int] = {}
    for level in whole.rows:
        prefix = _COUNT_PREFIXES[level] if len(whole.rows) > 1 else ""
        tally = whole.tally(level)
        found |= {f"{prefix}tp": tally.correct, f"{prefix}pred": tally.predicted, f"{prefix}gold": tally.gold}
    return found


def _ordered(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _differ(what: str, got: Any, wanted: Any) -> Iterator[str]:
    if got != wanted:
        yield f"{what} is {got!r}, not {wanted!r}"


CHECKS = {"eval": check_eval, "metric": check_metric}
