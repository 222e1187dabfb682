"""What each error is in HTTP: a status that says whether to try again, and a sentence."""

import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import orjson
import structlog
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from sluice_knowledge.guard import TooLarge
from sluice_knowledge.intake import Unsigned
from sluice_schemas.errors import BadInput, NotFound, Retryable

log = structlog.get_logger()

Handler = Callable[[Request, Exception], Awaitable[Response]]
RETRY_AFTER_S = "5"


def handlers() -> Mapping[type[Exception], Handler]:
    """By exception."""
    return {
        Unsigned: _always(401),
        NotFound: _always(404),
        RequestValidationError: _invalid,
        TooLarge: _too_large,
        BadInput: _unusable,
        Retryable: _later,
        Exception: _broken,
    }


def _told(status: int, detail: str, **headers: str) -> Response:
    return Response(orjson.dumps({"detail": detail}), status, headers=headers, media_type="application/json")


def _always(status: int) -> Handler:
    async def handler(_request: Request, exc: Exception) -> Response:
        return _told(status, str(exc))

    return handler


async def _unusable(request: Request, exc: Exception) -> Response:
    """422 tells the sender of a webhook that trying again is of no use; a query is simply a bad request."""
    return _told(400 if request.url.path == "/sparql" else 422, str(exc))


async def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors()[:5])
    status = 404 if request.url.path.startswith("/api/entities/") and "entity_id" in faults else 400
    return _told(status, f"This request is not valid. {faults}.")


async def _too_large(_request: Request, _exc: Exception) -> Response:
    # The rest of the body is not read, so the connection cannot be used again.
    return _told(413, "The body is too large. Send less, or events with links.", connection="close")


async def _later(_request: Request, exc: Exception) -> Response:
    return _told(503, str(exc), **{"retry-after": RETRY_AFTER_S})


async def _broken(_request: Request, exc: Exception) -> Response:
    # The kind alone: the text of an unforeseen exception may quote a document.
    where = traceback.extract_tb(exc.__traceback__)[-1]
    at = f"{Path(where.filename).name}:{where.lineno}"
    log.error("A request failed.", action="request.failed", kind=type(exc).__name__, at=at)
    return _told(500, "Something is wrong in the knowledge base; its log says what kind of fault it is.")
