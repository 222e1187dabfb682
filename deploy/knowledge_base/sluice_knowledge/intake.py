"""A webhook's way in: signature, reading, taking, telling who listens."""

from collections.abc import Mapping

import structlog

from sluice_knowledge.books import Taken
from sluice_knowledge.graph import Graph
from sluice_knowledge.links import Links
from sluice_knowledge.recent import Recent
from sluice_knowledge.signature import Gate
from sluice_schemas import event
from sluice_schemas.errors import SluiceError
from sluice_schemas.event import Event, EventBatch, Notice

log = structlog.get_logger()

Body = Event | Notice | EventBatch


class Unsigned(SluiceError):
    """The signature is missing, wrong or too old. Sign with the secret that this knowledge base has."""


class Intake:
    """Takes the bodies of webhooks."""

    def __init__(self, graph: Graph, gate: Gate, links: Links, recent: Recent) -> None:
        self._graph, self._gate, self._links, self._recent = graph, gate, links, recent

    def receive(self, body: bytes, headers: Mapping[str, str]) -> None:
        """All of it is on disk when this returns. Raises `Unsigned`, `BadInput` or `Retryable`."""
        if not self._gate.lets_in(body, headers):
            log.warning("A webhook without a valid signature was refused.", action="webhook.refused")
            raise Unsigned
        for webhook_id, each in self._whole(event.read(body), headers["webhook-id"]):
            self._take(each, webhook_id)

    def _whole(self, read: Body, webhook_id: str) -> list[tuple[str, Event | Notice]]:
        """The events with their ids. Links are followed before anything is written."""
        if isinstance(read, EventBatch):
            return [(item.id, self._links.whole(item.event)) for item in read.events]
        return [(webhook_id, read if isinstance(read, Notice) else self._links.whole(read))]

    def _take(self, read: Event | Notice, webhook_id: str) -> None:
        taken = self._graph.take(read, webhook_id)
        if taken.state != "known":
            self._recent.publish(taken)
        log.info("A webhook was taken.", action="webhook.taken", **_told(taken))


def _told(taken: Taken) -> dict[str, str]:
    return {"webhook": taken.id, "type": taken.type, "schema": taken.schema, "state": taken.state}
