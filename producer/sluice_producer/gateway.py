"""The gateway: hands out events that were too large for their webhooks, to whoever holds a signed link."""

import os
from typing import Annotated

import click
import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from sluice_producer.cli.session import Session, pass_session
from sluice_producer.ledger import RedisLedger
from sluice_schemas.errors import Misconfigured, NotFound, SluiceError, Unavailable
from sluice_schemas.ledger import ProducerLedger, connect, events
from sluice_schemas.links import PATH, Links

SECRET_VARIABLE = "SLUICE_LINK_SECRET"
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
CODES: dict[type[Exception], int] = {NotFound: 404, Unavailable: 503}


def make(ledger: ProducerLedger, links: Links) -> FastAPI:
    """The application. Every answer that is no event is JSON with a `detail` in a sentence."""
    app = FastAPI(title="Sluice gateway", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> Response:
        return JSONResponse({"status": "ok"}, headers=HEADERS)

    @app.get(PATH + "{job_id}")
    def whole_event(job_id: str, expires: int, signature: Annotated[str, Query(max_length=128)]) -> Response:
        if not links.is_valid(job_id, expires, signature):
            detail = "This link is not ours, or its time is over; replay its delivery for a new one."
            return JSONResponse({"detail": detail}, 403, HEADERS)
        job, extraction = ledger.job(job_id), ledger.result(job_id)
        if extraction is None or job.ended_at is None:
            raise NotFound(f"Job {job_id!r} has no result: it is {job.state}.")
        event = events.completed(job, extraction, at=job.ended_at)
        return Response(event.linked().encode(), media_type="application/json", headers=HEADERS)

    @app.exception_handler(SluiceError)
    def refused(_: Request, exc: Exception) -> Response:
        return JSONResponse({"detail": str(exc)}, CODES.get(type(exc), 500), HEADERS)

    return app


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@pass_session
def gateway(session: Session, host: str, port: int) -> None:
    """Hand out large events to whoever holds a signed link.

    It needs SLUICE_LINK_SECRET, the same as the deliverers, who also need SLUICE_LINK_URL: where receivers reach this.
    Put TLS in front of it: whoever reads a link on the way may read its event.
    """
    secret = os.environ.get(SECRET_VARIABLE, "")
    if len(secret) < 32:
        raise Misconfigured(f"Set {SECRET_VARIABLE} to 32 characters or more, the same as for `sluice deliver`.")
    ledger = RedisLedger(connect(session.redis_url))
    # No access log: links stand in it.
    uvicorn.run(make(ledger, Links("", secret.encode())), host=host, port=port, access_log=False, log_level="warning")
