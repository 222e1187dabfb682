"""Every decoder that reads what others wrote, and what it may do with it: answer, or raise one of our own errors."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import get_args

import pyoxigraph as ox
from fuzz import answers, envelope, files, seeds

from sluice_schemas import event
from sluice_schemas.document import Document
from sluice_schemas.endpoint import Endpoint
from sluice_schemas.errors import SluiceError
from sluice_schemas.event import Event, EventBatch, Notice
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.label import Label
from sluice_schemas.ledger import keys
from sluice_schemas.ledger.packing import unpack
from sluice_schemas.ledger.scripts import fields_of, job_of
from sluice_schemas.linked_data import linked_data
from sluice_schemas.schema import ExtractionSchema, Task
from sluice_schemas.wire import Wire, json_bytes
from sluice_worker.ledger.redis_outbox import delivery_of

Decoder = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder, and valid input for it. `feed` raises for every error that is not our own."""

    name: str
    decode: Decoder
    seeds: tuple[bytes, ...]

    def feed(self, raw: bytes) -> None:
        """Fails when the decoder does."""
        with suppress(SluiceError):
            self.decode(raw)


@dataclass(frozen=True, slots=True)
class Answering(Target):
    """A decoder that promises to answer whatever it is given."""

    def feed(self, raw: bytes) -> None:
        self.decode(raw)


KINDS: dict[str, type[Wire]] = {
    "document": Document,
    "order": Order,
    "job": Job,
    "event": Event,
    "batch": EventBatch,
    "notice": Notice,
    "endpoint": Endpoint,
    "extraction": Extraction,
    "label": Label,
    "schema": ExtractionSchema,
}
TASKS: tuple[Task, ...] = get_args(Task)


def message(kind: type[Wire], raw: bytes) -> None:
    """What could be read can be written, and read again."""
    found = kind.decode(raw)
    assert kind.decode(found.encode()) == found


def stored(raw: bytes) -> None:
    """An order as a worker takes it from the ledger."""
    order = Order.decode(unpack(raw))
    assert keys.fingerprint(order)
    assert Order.decode(order.encode()) == order


def row(raw: bytes) -> None:
    """A job's row: here a field a line, in Redis a hash."""
    fields = dict(line.partition(b"=")[::2] for line in raw.split(b"\n"))
    job = job_of("01J9", fields_of(fields))
    assert Job.decode(job.encode()) == job


def webhook(raw: bytes) -> None:
    """What a receiver reads. Whatever an event may say, its facts are a graph that others can read."""
    found = event.read(raw)
    if isinstance(found, Event) and found.extraction is not None:
        assert [*ox.parse(json_bytes(linked_data(found.job, found.extraction)), format=ox.RdfFormat.JSON_LD)]


def delivery(raw: bytes) -> None:
    """A delivery's row: here a field a line, in Redis a hash."""
    fields = dict(line.partition(b"=")[::2] for line in raw.split(b"\n"))
    delivery_of("msg_1", fields_of(fields), None)


def _all() -> Iterator[Target]:
    for name, kind in KINDS.items():
        yield Target(f"message.{name}", partial(message, kind), seeds.messages(name))
    yield Target("ledger.order", stored, seeds.stored())
    yield Target("ledger.row", row, (seeds.ROW,))
    yield Target("ledger.delivery", delivery, (seeds.DELIVERY,))
    yield Target("webhook.body", webhook, seeds.bodies())
    yield Answering("queue.envelope", envelope.hear, seeds.envelopes())
    yield Target("file.schema", files.schema, seeds.schemas())
    yield Target("file.labels", files.label_lines, (b'["a_b_c"]\n["r"]\n{"a_b_c": ["x"]}',))
    yield Answering("file.submission", files.submission, seeds.documents())
    yield Target("file.results", files.results, seeds.results())
    yield Answering("file.view", files.view, seeds.results())
    yield Answering("file.records", files.predict, seeds.records())
    for task in TASKS:
        yield Answering(f"annotated.{task}", partial(files.convert, task), seeds.annotated(task))
        yield Answering(f"predictions.{task}", partial(files.evaluate, task), seeds.predictions(task))
        yield Answering(f"answer.{task}", partial(answers.read, task), seeds.completions(task))


TARGETS: dict[str, Target] = {target.name: target for target in _all()}
