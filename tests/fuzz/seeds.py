"""Valid input for each decoder, from which the faults are made: saved messages, shipped schemas, small files."""

import base64
import json
from pathlib import Path
from typing import Any

from fuzz import answers

from sluice_schemas.ledger.packing import LONG_BYTES, pack
from sluice_schemas.queues import EXTRACT_TASK, message
from sluice_schemas.schema import Task
from sluice_worker.protocol.instruction import build

ROOT = Path(__file__).parents[2]
MESSAGES = ROOT / "tests" / "messages" / "v1"

ROW = b"""state=succeeded
document_id=news-17
document_version=3
schema_ref=news/events@3
priority=bulk
tenant=desk
endpoints=["kb","audit"]
attempts=2
accepted_at=1730000000.25
ended_at=1730000003.5
deadline=1730000090
reason=the lease ran out"""

DELIVERY = b"""job_id=01J9
endpoint=kb
state=failed
attempts=3
created_at=1730000000.25
failed_at=1730000003.5
reason=The receiver answered 500.
body={}"""

YAML = b"""id: news/events
version: 3
task: EE
language: en
types:
  - name: join  # a comment
    description: >
      Somebody joins.
    roles: [{name: who}, {"name": when}]
examples:
  - {input: "A joined B.", output: {join: [{trigger: joined, arguments: {who: A, when: 1.5}}]}}
"""

_ANN = {"head": "Ann", "head_type": "person", "relation": "joined", "tail": "Acme", "tail_type": "company"}
ANNOTATED = {
    "text": "Ann joined Acme. 李四",
    "entity": [{"entity": "Ann", "entity_type": "person"}, {"entity": "李四", "entity_type": "person"}],
    "relation": [_ANN, {**_ANN, "head": "李四"}],
    "event": [{"event_type": "join", "event_trigger": "joined", "arguments": [{"argument": "Ann", "role": "who"}]}],
}
FIELD: dict[Task, str] = {
    **{"NER": "entity", "RE": "relation", "SPO": "relation", "KG": "relation"},
    **{"EE": "event", "EET": "event", "EEA": "event"},
}
ASKED: dict[Task, Any] = {
    "NER": ["person", "place"],
    "RE": ["joined"],
    "SPO": [{"subject_type": "person", "predicate": "joined", "object_type": "company"}],
    "EE": [{"event_type": "join", "trigger": True, "arguments": ["who"]}],
    "EEA": [{"event_type": "join", "trigger": ["joined"], "arguments": ["who"]}],
    "EET": ["join"],
    "KG": [{"entity_type": "person", "attributes": ["joined"]}],
}


def messages(kind: str) -> tuple[bytes, ...]:
    """What releases wrote."""
    return tuple(path.read_bytes().strip() for path in sorted(MESSAGES.glob(f"{kind}*.json")))


def bodies() -> tuple[bytes, ...]:
    """What webhooks carry."""
    return (*messages("event"), *messages("batch"), *messages("notice"))


def stored() -> tuple[bytes, ...]:
    """Orders as the ledger keeps them, a short one and a long one."""
    (order,) = messages("order")
    return order, pack(order.replace(b"Ada", b"Ada " * LONG_BYTES))


def schemas() -> tuple[bytes, ...]:
    library = ROOT / "schemas" / "library"
    shipped = [path.read_bytes() for path in sorted(library.glob("news/*.yaml"))]
    return (YAML, *shipped, *messages("schema"))


def documents() -> tuple[bytes, ...]:
    fields = {
        "id": "a",
        "text": "Ann joined Acme.",
        "language": "en",
        "schema": "news/entities-en@1",
        "metadata": {"k": [1]},
    }
    return _lines(fields, {"text": "Bob"}), b"One plain text.\nOf two lines."


def results() -> tuple[bytes, ...]:
    return (b"\n".join(messages("extraction")) + b"\n",)


def annotated(task: Task) -> tuple[bytes, ...]:
    field = FIELD[task]
    return (_lines({"text": ANNOTATED["text"], field: ANNOTATED[field]}, {"text": "Nothing.", field: []}),)


def predictions(task: Task) -> tuple[bytes, ...]:
    """Every answer of the task to one question, in two groups."""
    asked = build(task, "en", ASKED[task], "Ann joined Acme.")
    line = {"id": "1", "task": task, "source": "s", "group": "g", "instruction": asked}
    label = json.dumps(ANNOTATED[FIELD[task]], ensure_ascii=False)
    outputs = ("{}", *answers.ANSWERS[task])
    return (_lines(*({**line, "id": number, "label": label, "output": each} for number, each in enumerate(outputs))),)


def records() -> tuple[bytes, ...]:
    """Converted test records of every task."""
    return tuple(
        _lines({"id": "1", "task": task, "source": "s", "instruction": build(task, "en", asked, "Ann joined Acme.")})
        for task, asked in ASKED.items()
    )


def completions(task: Task) -> tuple[bytes, ...]:
    return tuple(each.encode() for each in answers.ANSWERS[task])


def envelopes() -> tuple[bytes, ...]:
    """A doorbell as our own side rings it."""
    body, headers = message(EXTRACT_TASK, "")
    properties = {
        "body_encoding": "base64",
        "correlation_id": headers["id"],
        "delivery_info": {"exchange": "", "routing_key": EXTRACT_TASK},
        "delivery_mode": 1,
        "delivery_tag": "a-tag",
        "priority": 0,
    }
    fields = {"content-encoding": "utf-8", "content-type": "application/json", "headers": headers}
    text = base64.b64encode(json.dumps(body).encode()).decode()
    return (json.dumps({"body": text, **fields, "properties": properties}).encode(),)


def _lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
