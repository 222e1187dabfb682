"""Lets requests into an engine while their tokens fit, oldest first, so that nothing inside it is ever pushed out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Admission:
    """A budget of tokens for one event loop. A request that is larger than the whole budget runs alone."""

    def __init__(self, budget_tokens: int) -> None:
        self._budget_tokens = budget_tokens
        self._running_tokens = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def admitted(self, tokens: int) -> AsyncIterator[None]:
        """Waits for its turn, and holds `tokens` of the budget until the block ends."""
        if self._waiting or not self._fits(tokens):
            await self._turn(tokens)
        else:
            self._running_tokens += tokens
        try:
            yield
        finally:
            self._running_tokens -= tokens
            self._admit()

    def _fits(self, tokens: int) -> bool:
        return self._running_tokens == 0 or self._running_tokens + tokens <= self._budget_tokens

    async def _turn(self, tokens: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in, and cancelled before it could begin
                self._running_tokens -= tokens
            self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting:
            tokens, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(tokens):
                    return
                self._running_tokens += tokens
                turn.set_result(None)
            self._waiting.popleft()
