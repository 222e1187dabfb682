"""The gateway: hands out large events to whoever holds a signed link, and takes Label Studio's annotations in."""

import os
from typing import Annotated

import click
import uvicorn
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from sluice_producer.cli.session import Session, pass_session
from sluice_producer.labels.access import LOCAL_LABELS, VARIABLE, Access
from sluice_producer.labels.webhook import Intake, router
from sluice_producer.ledger import RedisLedger
from sluice_schemas.catalogue import Catalogue
from sluice_schemas.errors import Misconfigured, NotFound, Retryable, SluiceError
from sluice_schemas.ledger import ProducerLedger, connect, events
from sluice_schemas.links import PATH, Links

SECRET_VARIABLE = "SLUICE_LINK_SECRET"
TOKEN_VARIABLE = "SLUICE_LABELSTUDIO_TOKEN"
LEAST_SECRET = 32
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
CODES: tuple[tuple[type[Exception], int], ...] = ((NotFound, 404), (Retryable, 503))


def make(ledger: ProducerLedger, links: Links | None = None, labels: Intake | None = None) -> FastAPI:
    """The application, with links, with labels or with both. Whatever it refuses has a `detail` in a sentence."""
    app = FastAPI(title="Sluice gateway", docs_url=None, redoc_url=None, openapi_url=None)
    if links is not None:
        app.include_router(_events(ledger, links))
    if labels is not None:
        app.include_router(router(labels, headers=HEADERS))

    @app.get("/health")
    def health() -> Response:
        return JSONResponse({"status": "ok"}, headers=HEADERS)

    @app.exception_handler(SluiceError)
    def refused(_: Request, exc: Exception) -> Response:
        code = next((code for kind, code in CODES if isinstance(exc, kind)), 500)
        return JSONResponse({"detail": str(exc)}, code, HEADERS)

    return app


def _events(ledger: ProducerLedger, links: Links) -> APIRouter:
    routes = APIRouter()

    @routes.get(PATH + "{job_id}")
    def whole_event(job_id: str, expires: int, signature: Annotated[str, Query(max_length=128)]) -> Response:
        if not links.is_valid(job_id, expires, signature):
            detail = "This link is not ours, or its time is over; replay its delivery for a new one."
            return JSONResponse({"detail": detail}, 403, HEADERS)
        job, extraction = ledger.job(job_id), ledger.result(job_id)
        if extraction is None or job.ended_at is None:
            raise NotFound(f"Job {job_id!r} has no result: it is {job.state}.")
        event = events.completed(job, extraction, at=job.ended_at)
        return Response(event.linked().encode(), media_type="application/json", headers=HEADERS)

    return routes


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@pass_session
def gateway(session: Session, host: str, port: int) -> None:
    """Hand out large events by signed links, and take annotations in from Label Studio.

    SLUICE_LINK_SECRET, the same as the deliverers', switches on links; they also need SLUICE_LINK_URL: where receivers
    reach this. SLUICE_LABELSTUDIO_TOKEN switches on /labels/labelstudio?schema=ID, to which a webhook of Label Studio
    posts with the header Authorization: Bearer TOKEN; labels go to SLUICE_LABELS_URL.

    Put TLS in front of it: whoever reads a link or the token on the way may use it.
    """
    ledger = RedisLedger(connect(session.redis_url))
    secret, token = _secret(SECRET_VARIABLE), _secret(TOKEN_VARIABLE)
    if secret is None and token is None:
        raise Misconfigured(f"Set {SECRET_VARIABLE} for links to events, {TOKEN_VARIABLE} for labels, or both.")
    access = Access(os.environ.get(VARIABLE, LOCAL_LABELS))
    if token is not None:
        access.store()  # says now what is wrong with the database
    intake = None if token is None else Intake(access, token, Catalogue(ledger).find)
    app = make(ledger, None if secret is None else Links("", secret.encode()), intake)
    try:
        # No access log: links stand in it.
        uvicorn.run(app, host=host, port=port, access_log=False, log_level="warning")
    finally:
        access.close()


def _secret(variable: str) -> str | None:
    value = os.environ.get(variable) or None
    if value is not None and len(value) < LEAST_SECRET:
        raise Misconfigured(f"{variable} must have {LEAST_SECRET} characters or more, drawn at random.")
    return value
