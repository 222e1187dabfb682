"""The engine for OpenAI-compatible servers, against vLLM's own: the contract, and who is to blame for an error."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import vllm_server
from engine_contract import TEXTS, EngineContract, EngineEndsContract, answer, answers, asked, grows, held
from pydantic import SecretStr
from vllm_server import VllmServer

from sluice_schemas.errors import BadInput, Misconfigured, Unavailable
from sluice_worker.engine.openai_engine import OpenAiEngine, Server
from sluice_worker.engine.request import Engine
from sluice_worker.engine.transformers_engine import TransformersEngine

pytestmark = pytest.mark.timeout(600)

KEY = SecretStr(vllm_server.KEY)


def server(served: VllmServer) -> Server:
    return Server(served.url, "tiny", KEY, max_adapters=2, adapter_rank=16)


@pytest.fixture(scope="module")
def engine(folder: Path, served: VllmServer) -> Iterator[OpenAiEngine]:
    made = OpenAiEngine(folder, server(served))
    yield made
    made.close()


@pytest.fixture
def make(folder: Path, served: VllmServer) -> Callable[[], Engine]:
    return lambda: OpenAiEngine(folder, server(served))


class TestOpenAiEngine(EngineContract):
    pass


class TestOpenAiEngineEnds(EngineEndsContract):
    pass


def test_it_says_what_transformers_says(engine: OpenAiEngine, folder: Path) -> None:
    """In float32 on both sides."""
    other = TransformersEngine(folder, device="cpu", dtype="float32")
    requests = [make(text) for text in TEXTS for make in (asked, lambda text: held(text, is_distinct=False))]
    ours, theirs = (answers([each.submit(request) for request in requests]) for each in (engine, other))
    other.close()
    for request, one, two in zip(requests, ours, theirs, strict=True):
        assert (one.text, one.is_whole, one.prompt_tokens) == (two.text, two.is_whole, two.prompt_tokens)
        assert [each.text for each in one.tokens] == [each.text for each in two.tokens]
        if request.grammar is None:
            assert [each.logprob for each in one.tokens] == pytest.approx([e.logprob for e in two.tokens], abs=2e-3)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model": "other"}, "has no 'other'. Set SLUICE_SERVER_MODEL"),
        ({"key": SecretStr("wrong")}, "refuses the key. Set SLUICE_SERVER_KEY"),
    ],
)
def test_a_wrong_setting_is_told_at_the_start(
    served: VllmServer, folder: Path, changed: dict[str, object], sentence: str
) -> None:
    given = {"url": served.url, "model": "tiny", "key": KEY, **changed}
    with pytest.raises(Misconfigured, match=sentence):
        OpenAiEngine(folder, Server(**given))  # type: ignore[arg-type]


class Failing(BaseHTTPRequestHandler):
    """A server that answers completions with the statuses of its list, then well; `paths` are what it was asked."""

    statuses: list[int]
    paths: list[str]

    def do_GET(self) -> None:
        known = {"id": "tiny", "object": "model", "created": 0, "owned_by": "x", "max_model_len": 512}
        self._say(404 if self.path.endswith("version") else 200, {"object": "list", "data": [known]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.paths.append(self.path)
        if self.statuses:
            return self._say(self.statuses.pop(0), {"error": {"message": "It quotes the document: SECRET."}})
        choice = {"index": 0, "text": "{}", "finish_reason": "stop", "logprobs": None}
        return self._say(200, {"id": "c", "object": "text_completion", "created": 0, "model": "m", "choices": [choice]})

    def _say(self, status: int, body: object) -> None:
        written = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def failing() -> Iterator[tuple[str, type[Failing]]]:
    class Own(Failing):
        pass

    Own.statuses, Own.paths = [], []
    http = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/v1", Own
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize(
    ("statuses", "error", "tries"),
    [
        ([500, 503], None, 3),  # a passing fault is tried again
        ([429], None, 2),  # as is a full server
        ([500] * 9, Unavailable, 3),  # not for ever
        ([400], BadInput, 1),  # the request itself is wrong: no second try
        ([401], Misconfigured, 1),
    ],
)
def test_who_is_to_blame(
    failing: tuple[str, type[Failing]],
    folder: Path,
    statuses: list[int],
    error: type[Exception] | None,
    tries: int,
) -> None:
    url, handler = failing
    engine = OpenAiEngine(folder, Server(url, "tiny", KEY, retries=2))
    assert engine.card.decodings == {"free"}, "no vLLM, no grammars"
    assert engine.card.context_tokens == 512
    handler.statuses[:] = statuses
    future = engine.submit(asked("SECRET"))
    wait([future], timeout=60)
    if error is None:
        assert future.result().text == "{}"
    else:
        assert isinstance(future.exception(), error)
        assert "SECRET" not in str(future.exception())
    assert len(handler.paths) == tries
    engine.close()


def test_a_server_that_is_gone_is_unavailable_and_no_reason_to_restart(
    failing: tuple[str, type[Failing]], folder: Path
) -> None:
    url, _ = failing
    engine = OpenAiEngine(folder, Server(url, "tiny", KEY, retries=0))
    engine._client.base_url = "http://127.0.0.1:9/v1"
    with pytest.raises(Unavailable, match="does not answer"):
        answer(engine, asked("x"))
    engine.close()
    with pytest.raises(Unavailable, match="does not answer"):
        OpenAiEngine(folder, Server("http://127.0.0.1:9/v1", "tiny", KEY, retries=0))


def test_twenty_thousand_requests_leave_no_memory_behind(engine: OpenAiEngine) -> None:
    assert grows(engine, requests=20_000, processes=lambda: [psutil.Process()]) <= 0.03
