"""An engine that answers from a function: for tests, and for users who test their own services without a model."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from sluice_schemas.errors import BadInput
from sluice_worker.engine.adapters import check
from sluice_worker.engine.request import Completion, ModelCard, Request, Token


class ScriptedEngine:
    """Answers `script(prompt)` at once; an exception that it raises becomes the request's own failure."""

    def __init__(self, script: Callable[[str], str], *, chunk_tokens: int = 1000, answer_tokens: int = 500) -> None:
        self.card = ModelCard("scripted", chunk_tokens + 2 * answer_tokens + 1000, chunk_tokens, answer_tokens)
        self.prompts: list[str] = []
        self._script = script
        self._adapters: set[str] = set()

    def count_tokens(self, text: str) -> int:
        """One token a character."""
        return len(text)

    def submit(self, request: Request) -> "Future[Completion]":
        self.prompts.append(request.prompt.text)
        future: Future[Completion] = Future()
        try:
            if request.adapter and request.adapter not in self._adapters:
                raise BadInput(f"The adapter {request.adapter} is not loaded here.")
            text = self._script(request.prompt.text)
        except Exception as exc:  # a script stands for an engine: any failure belongs to the request
            future.set_exception(exc)
            return future
        kept = text[: request.max_tokens]
        tokens = tuple(Token(character, -0.1) for character in kept)
        future.set_result(Completion(kept, tokens, kept == text, len(request.prompt.text)))
        return future

    def load_adapter(self, folder: Path) -> str:
        """Adapters change no answer; only those that were loaded may be asked for."""
        name = check(folder, max_rank=1024)
        self._adapters.add(name)
        return name

    def drop_adapter(self, name: str) -> None:
        self._adapters.discard(name)

    def close(self) -> None:
        """Nothing to stop."""
