"""Answers converted instructions with an engine, no queue between: what `sluice evaluate` reads comes out."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from sluice_schemas.errors import BadInput
from sluice_schemas.schema import Decoding
from sluice_worker.engine.request import Completion, Engine, Request
from sluice_worker.evaluation.asked import Asked
from sluice_worker.plan import DISTINCT
from sluice_worker.protocol.grammar import grammar
from sluice_worker.protocol.prompt import render

WINDOW = 64
"""Requests that wait in the engine at once: enough for full batches, few enough for a file of any size."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to a record; where it could not be asked `output` is "" and `failure` says why."""

    asked: Asked
    output: str
    failure: str = ""


def predict(
    engine: Engine, given: Iterable[Asked | BadInput], *, level: Decoding, answer_tokens: int
) -> Iterator[Answer | BadInput]:
    """An answer to each record in the order given; what could not be read is handed through.

    The prompt holds the instruction exactly as converted. `EngineDead` ends the run.
    """
    waiting: deque[BadInput | tuple[Asked, Future[Completion]]] = deque()
    for each in given:
        waiting.append(each if isinstance(each, BadInput) else (each, _submit(engine, each, level, answer_tokens)))
        if len(waiting) >= WINDOW:
            yield _settled(waiting.popleft())
    yield from map(_settled, waiting)


def _submit(engine: Engine, asked: Asked, level: Decoding, answer_tokens: int) -> Future[Completion]:
    try:
        held = None if level == "free" else grammar(asked.task, asked.schema, asked.text, level=level)
    except (AttributeError, KeyError, TypeError):
        refused: Future[Completion] = Future()
        refused.set_exception(BadInput("the schema has not the form that its task takes."))
        return refused
    return engine.submit(Request(render(asked.instruction), answer_tokens, held, asked.task in DISTINCT))


def _settled(waiting: BadInput | tuple[Asked, Future[Completion]]) -> Answer | BadInput:
    if isinstance(waiting, BadInput):
        return waiting
    asked, future = waiting
    try:
        return Answer(asked, future.result().text)
    except BadInput as exc:
        return Answer(asked, "", str(exc))
