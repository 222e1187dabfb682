"""Who listens too slowly is told so, and gets the rest when it comes back; faults say nothing of documents."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import structlog
from fastapi import FastAPI

from sluice_knowledge.books import Taken, moment
from sluice_knowledge.faults import handlers
from sluice_knowledge.recent import WAITING, Recent

START = 1_800_000_000.0


def taken(number: int) -> Taken:
    # All within one moment: their numbers must differ all the same.
    return Taken(str(number), moment(START), "extraction.completed", "d", "t", "s", "new")


async def ids(stream: AsyncIterator[bytes]) -> list[int]:
    text = b"".join([piece async for piece in stream]).decode()
    return [int(line[4:]) for line in text.splitlines() if line.startswith("id: ")]


def test_a_slow_listener_is_told_that_it_lost_and_comes_back() -> None:
    recent = Recent()

    async def listen() -> tuple[list[bytes], list[int]]:
        stream = recent.stream(None)
        await anext(stream)
        for number in range(WAITING + 5):
            recent.publish(taken(number))
        await asyncio.sleep(0.01)
        pieces = [piece async for piece in stream]
        again = recent.stream(int(START * 1e6))
        first = await anext(again)
        recent.close()
        assert await ids(again) == []
        return pieces, [int(line[4:]) for line in first.decode().splitlines() if line.startswith("id: ")]

    pieces, missed = asyncio.run(listen())
    assert pieces == [b"event: lost\ndata: {}\n\n"]
    assert missed == [int(START * 1e6) + number for number in range(1, WAITING + 5)]


def test_nobody_else_waits_for_a_slow_listener() -> None:
    recent = Recent()

    async def listen() -> list[int]:
        slow, fast = recent.stream(None), recent.stream(None)
        await anext(slow)
        await anext(fast)
        heard = list[int]()
        for number in range(WAITING * 2):
            recent.publish(taken(number))
            heard += [int((await anext(fast)).split()[1])]
        recent.close()
        return heard

    assert len(set(asyncio.run(listen()))) == WAITING * 2


def test_a_fault_is_logged_by_its_kind_and_place_alone() -> None:
    app = FastAPI()
    for fault, handler in handlers().items():
        app.add_exception_handler(fault, handler)

    @app.get("/")
    def fail() -> None:
        raise KeyError("a sentence of a document")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/")

    with structlog.testing.capture_logs() as said:
        answer = asyncio.run(ask())
    assert (answer.status_code, "sentence" in answer.text) == (500, False)
    (line,) = said
    assert (line["kind"], line["at"].startswith("test_knowledge_news.py:")) == ("KeyError", True)
    assert "sentence" not in str(line)
