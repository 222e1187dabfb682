"""One pass over a number of documents and what it took: what every engine and every peer is measured by."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sluice_worker.engine.request import Engine, Request

AHEAD_TOKENS = 8
"""Long enough for an engine to get a few hundred requests meanwhile, short beside what is measured."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Documents, the requests that they took, the tokens of all prompts and answers, and the time for all of it."""

    documents: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @property
    def documents_per_s(self) -> float:
        return self.documents / self.seconds

    @property
    def prompt_tokens_per_s(self) -> float:
        return self.prompt_tokens / self.seconds

    @property
    def completion_tokens_per_s(self) -> float:
        return self.completion_tokens / self.seconds


def at_once(engine: Engine, documents: Sequence[Sequence[Request]]) -> Pass:
    """Gives an engine all requests of all documents at once and waits for the last: the most that it can do.

    A short one that is not counted, though its time is, goes ahead: an idle engine starts on what comes first, and
    would answer the first request of a pass alone. Raises what a request failed with.
    """
    asked = [request for requests in documents for request in requests]
    ahead = replace(asked[0], max_tokens=min(AHEAD_TOKENS, asked[0].max_tokens))
    started = time.perf_counter()
    first, *futures = [engine.submit(request) for request in (ahead, *asked)]
    first.result()
    answers = [future.result() for future in futures]
    return Pass(
        documents=len(documents),
        requests=len(answers),
        prompt_tokens=sum(each.prompt_tokens for each in answers),
        completion_tokens=sum(each.completion_tokens for each in answers),
        seconds=time.perf_counter() - started,
    )
