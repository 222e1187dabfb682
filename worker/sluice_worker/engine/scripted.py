"""An engine that answers from a function: for tests, and for users who test their own services without a model."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from llguidance import LLMatcher

from sluice_schemas.errors import BadInput, EngineDead
from sluice_worker.engine.adapters import Adapters, check
from sluice_worker.engine.request import Completion, ModelCard, Request, Token

MAX_RANK = 1024


class ScriptedEngine:
    """Answers `script(prompt)` at once; an exception that it raises becomes the request's own failure.

    `adapted(prompt, adapter)` answers what is asked of an adapter; without it adapters change nothing.
    """

    def __init__(
        self,
        script: Callable[[str], str],
        *,
        adapted: Callable[[str, str], str] | None = None,
        chunk_tokens: int = 1000,
        answer_tokens: int = 500,
        max_adapters: int = 4,
    ) -> None:
        self.card = ModelCard("scripted", chunk_tokens + 2 * answer_tokens + 1000, chunk_tokens, answer_tokens)
        self.prompts: list[str] = []
        self._script = script
        self._adapted = adapted or (lambda prompt, _: script(prompt))
        self._adapters: Adapters[str] = Adapters(lambda _: None, limit=max_adapters)
        self._is_closed = False

    def count_tokens(self, text: str) -> int:
        """One token a character."""
        return len(text)

    def submit(self, request: Request) -> "Future[Completion]":
        self.prompts.append(request.prompt.text)
        future: Future[Completion] = Future()
        try:
            text = self._answer(request)
        except Exception as exc:  # a script stands for an engine: any failure belongs to the request
            future.set_exception(exc)
            return future
        kept = text[: request.max_tokens]
        tokens = tuple(Token(character, -0.1) for character in kept)
        future.set_result(Completion(kept, tokens, kept == text, len(request.prompt.text)))
        return future

    def submit_all(self, requests: Sequence[Request]) -> "list[Future[Completion]]":
        return [self.submit(each) for each in requests]

    def load_adapter(self, folder: Path) -> str:
        name = check(folder, max_rank=MAX_RANK)
        if not self._adapters.holds(name):
            self._adapters.add(name, name)
        return name

    def drop_adapter(self, name: str) -> None:
        self._adapters.drop(name)

    def close(self) -> None:
        self._is_closed = True

    def _answer(self, request: Request) -> str:
        prompt = request.prompt.text
        if self._is_closed:
            raise EngineDead("The engine was closed.")
        if len(prompt) + request.max_tokens > self.card.context_tokens:
            raise BadInput(f"{len(prompt)} characters do not fit the model's context of {self.card.context_tokens}.")
        if request.grammar and (fault := LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(request.grammar))):
            raise BadInput(f"The grammar does not compile: {fault.splitlines()[0]}")
        if request.adapter is None:
            return self._script(prompt)
        self._adapters.take(request.adapter)
        try:
            return self._adapted(prompt, request.adapter)
        finally:
            self._adapters.leave(request.adapter)
