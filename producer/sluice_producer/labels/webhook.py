"""Label Studio's webhook: what an annotator submits is a label, on disk before the answer.

Label Studio signs nothing, but sends headers that its user sets: one holds a token that only the two know. It waits a
second for the answer, and sends nothing again; `sluice labels import` of its export makes up for what was lost.
"""

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from sluice_producer.labels.access import Access
from sluice_producer.labels.task import label_of
from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.label import Stored
from sluice_schemas.schema import ExtractionSchema
from sluice_schemas.wire import parsed

logger = logging.getLogger("sluice_producer")

PATH = "/labels/labelstudio"
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED")
MAX_BODY_BYTES = 32 * 1024 * 1024
"""Room for the longest text with each byte escaped in JSON, and its regions."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Where labels go, who may send them, and how their schemas are found."""

    access: Access
    token: str
    schema: Callable[[str], ExtractionSchema]

    def is_allowed(self, authorization: str) -> bool:
        """Whether the header holds the token, compared in constant time."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self.token}".encode())

    def keep(self, body: bytes, ref: str) -> Stored | None:
        """None for an event that is no label. Raises `BadInput`, `NotFound` for the schema, and `Unavailable`."""
        event = parsed(body)
        if not isinstance(event, dict):
            raise BadInput("The body must be a JSON object, as Label Studio sends it.")
        if event.get("action") not in ACTIONS:
            return None
        annotation, task = event.get("annotation"), event.get("task")
        if not isinstance(annotation, dict) or not isinstance(task, dict):
            raise BadInput("The event has no annotation and task; switch on `Send payload` for this webhook.")
        if annotation.get("was_cancelled"):
            return None
        schema, author = self.schema(ref), f"labelstudio:{_user(annotation)}"
        return self.access.store().add(label_of(task, annotation, schema, author=author), schema=schema)


def router(intake: Intake, *, headers: dict[str, str]) -> APIRouter:
    """The route. What is not about the label itself, such as `Unavailable`, is left to the application."""
    routes = APIRouter()

    @routes.post(PATH)
    async def annotated(request: Request, schema: str = "") -> Response:
        if not intake.is_allowed(request.headers.get("authorization", "")):
            detail = "Label Studio's webhook needs the header Authorization: Bearer <SLUICE_LABELSTUDIO_TOKEN>."
            return JSONResponse({"detail": detail}, 401, {**headers, "www-authenticate": "Bearer"})
        body = await _body(request)
        if body is None:
            return JSONResponse({"detail": f"The body is longer than {MAX_BODY_BYTES} bytes."}, 413, headers)
        try:
            stored = await run_in_threadpool(intake.keep, body, schema)
        except BadInput as exc:
            # Nobody sees the answer: Label Studio shows it to none of its users.
            logger.warning("An annotation of Label Studio is no label: %s", exc)
            return JSONResponse({"detail": str(exc)}, 404 if isinstance(exc, NotFound) else 422, headers)
        if stored is None:
            return Response(status_code=204, headers=headers)
        answer = {"id": stored.id, "share": stored.share, "is_new": stored.is_new}
        return JSONResponse(answer, 201 if stored.is_new else 200, headers)

    return routes


async def _body(request: Request) -> bytes | None:
    """None when it is too long; no more than the limit is ever held."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _user(annotation: dict[str, Any]) -> str:
    """The annotator's number in Label Studio; names and addresses of people are not kept."""
    by = annotation.get("completed_by")
    number = by.get("id") if isinstance(by, dict) else by
    return str(number) if isinstance(number, int) else "unknown"
