"""The knowledge base over HTTP: webhooks in, answers and the page out."""

from collections.abc import Collection
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

from sluice_knowledge.around import around
from sluice_knowledge.facts import Facts
from sluice_knowledge.faults import handlers
from sluice_knowledge.graph import Graph
from sluice_knowledge.guard import Guard, body_of
from sluice_knowledge.intake import Intake
from sluice_knowledge.links import Links
from sluice_knowledge.recent import Recent
from sluice_knowledge.signature import Gate
from sluice_knowledge.sparql import Sparql
from sluice_schemas.errors import BadInput

MAX_BODY_BYTES = 16 << 20
MAX_QUERY_BYTES = 64 << 10
QUERY_S = 10.0
PAGE = files("sluice_knowledge") / "page"

EntityId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def make(
    graph: Graph,
    secrets: Collection[str],
    *,
    recent: Recent,
    links: Links | None = None,
    hosts: Collection[str] | None = None,
    query_s: float = QUERY_S,
) -> FastAPI:
    """The application. `hosts` are the names it may be asked under, None for any."""
    # No pages about the interface: they would load scripts from elsewhere.
    app = FastAPI(title="Sluice knowledge base", docs_url=None, redoc_url=None, openapi_url=None)
    intake = Intake(graph, Gate([*secrets]), links or Links(), recent)
    app.include_router(_webhooks(intake))
    app.include_router(_views(graph, Facts(graph)))
    app.include_router(_news(recent))
    app.include_router(_sparql(Sparql(graph), query_s))
    _serve_page(app)
    for fault, handler in handlers().items():
        app.add_exception_handler(fault, handler)
    app.add_middleware(Guard, hosts=hosts)
    return app


def _webhooks(intake: Intake) -> APIRouter:
    router = APIRouter()

    @router.post("/webhooks", status_code=204)
    async def receive(request: Request) -> Response:
        body = await body_of(request, MAX_BODY_BYTES)
        await run_in_threadpool(intake.receive, body, dict(request.headers))
        return Response(status_code=204)

    return router


def _views(graph: Graph, facts: Facts) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    def health() -> Response:
        return _json({"status": "ok", **facts.counts()})

    @router.get("/api/search")
    def search(
        q: Annotated[str, Query(max_length=500)] = "", limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> Response:
        return _json({"results": facts.search(q, limit)})

    @router.get("/api/entities/{entity_id}")
    def entity(entity_id: EntityId) -> Response:
        return _json(facts.entity(entity_id))

    @router.get("/api/entities/{entity_id}/graph")
    def neighbourhood(
        entity_id: EntityId,
        depth: Annotated[int, Query(ge=1, le=2)] = 1,
        limit: Annotated[int, Query(ge=1, le=500)] = 150,
    ) -> Response:
        return _json(around(graph, entity_id, depth=depth, limit=limit))

    return router


def _news(recent: Recent) -> APIRouter:
    router = APIRouter()

    @router.get("/api/events/recent")
    def latest(limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
        return _json({"events": recent.latest(limit)})

    @router.get("/api/events/stream")
    async def stream(request: Request) -> Response:
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isascii() and last.isdecimal() else None
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(recent.stream(after), media_type="text/event-stream", headers=headers)

    return router


def _sparql(sparql: Sparql, query_s: float) -> APIRouter:
    router = APIRouter()

    def answer(text: str) -> Response:
        found = sparql.query(text, timeout_s=query_s)
        headers = {"cache-control": "no-store", "sluice-cut": str(found.is_cut).lower()}
        return Response(found.body, media_type=found.media, headers=headers)

    @router.get("/sparql")
    def ask(query: str) -> Response:
        return answer(query)

    @router.post("/sparql")
    async def ask_long(request: Request) -> Response:
        body = await body_of(request, MAX_QUERY_BYTES)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        return await run_in_threadpool(answer, _query(body, kind))

    return router


def _query(body: bytes, kind: str) -> str:
    """SPARQL 1.1 Protocol, sections 2.1.2 and 2.1.3."""
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise BadInput("The query is not UTF-8.") from exc
    if kind == "application/sparql-query":
        return text
    found = parse_qs(text).get("query", []) if kind == "application/x-www-form-urlencoded" else []
    if len(found) != 1:
        raise BadInput("Send one query: as the form field `query`, or as the body, of type application/sparql-query.")
    return found[0]


def _serve_page(app: FastAPI) -> None:
    folder = str(PAGE)
    app.mount("/page", StaticFiles(directory=folder, check_dir=False), name="page")

    @app.get("/")
    def index() -> Response:
        return FileResponse(f"{folder}/index.html")


def _json(told: dict[str, Any]) -> Response:
    return Response(orjson.dumps(told), media_type="application/json", headers={"cache-control": "no-store"})
