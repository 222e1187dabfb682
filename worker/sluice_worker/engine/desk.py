"""Where an engine that works on an event loop takes requests from threads, and what it says once it is closed."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from sluice_schemas.errors import BadInput, EngineDead
from sluice_worker.engine.adapters import Adapters
from sluice_worker.engine.intake import Intake, Prepared, refused
from sluice_worker.engine.loop import Loop
from sluice_worker.engine.request import Completion, Request

CLOSED = "The engine was closed. Submit again: another worker will take it."

H = TypeVar("H")


class Desk(Generic[H]):
    """`answer` gets each prepared request with the handle of its adapter, None for the base model, on the loop."""

    def __init__(
        self,
        intake: Intake,
        adapters: Adapters[H],
        loop: Loop,
        answer: Callable[[Prepared, H | None], Coroutine[Any, Any, Completion]],
    ) -> None:
        self._intake = intake
        self._adapters = adapters
        self._loop = loop
        self._answer = answer
        self.is_closed = False

    def submit(self, request: Request) -> "Future[Completion]":
        """The future of its answer; it has failed already when the request cannot be asked here."""
        if self.is_closed:
            return refused(EngineDead(CLOSED))
        try:
            prepared = self._intake.prepare(request)
            handle = self._adapters.take(request.adapter) if request.adapter else None
        except BadInput as exc:
            return refused(exc)
        future = self._loop.run(self._answered(prepared, handle))
        if name := request.adapter:
            future.add_done_callback(lambda _: self._adapters.leave(name))
        return future

    def close(self) -> None:
        """Fails what runs with `EngineDead` and ends the loop."""
        self.is_closed = True
        self._loop.close()

    async def _answered(self, prepared: Prepared, handle: H | None) -> Completion:
        try:
            return await self._answer(prepared, handle)
        except asyncio.CancelledError:
            if self.is_closed:
                raise EngineDead(CLOSED) from None
            raise
