"""What goes into an engine and what comes out: the seam between the queue's world and the model's."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluice_schemas.schema import Decoding
from sluice_worker.protocol.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt.

    `grammar`, in llguidance's Lark form, holds the answer to itself; None leaves the model free. Under a grammar
    `is_distinct` ends a list in which the model begins to repeat itself. `adapter` names one that was loaded; None is
    the base model.
    """

    prompt: Prompt
    max_tokens: int
    grammar: str | None = None
    is_distinct: bool = False
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A generated token: the characters it completed (may be none), and its log-probability (natural, <= 0)."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer. `is_whole` is False when it was stopped by `max_tokens` before the model ended it.

    `cached_tokens` of the prompt were not read again, since an earlier prompt began with them.
    """

    text: str
    tokens: tuple[Token, ...]
    is_whole: bool
    prompt_tokens: int
    cached_tokens: int = 0

    @property
    def completion_tokens(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Which model an engine serves. `name` holds a digest of the weights; lengths are in tokens.

    `chunk_tokens` and `answer_tokens` are the model's own advice: how much text it reads well at once, and how long
    its answers get. `decoding` is the level it does best at, `decodings` those that the engine can do.
    """

    name: str
    context_tokens: int
    chunk_tokens: int
    answer_tokens: int
    decoding: Decoding = "free"
    decodings: frozenset[Decoding] = frozenset({"free"})


class Engine(Protocol):
    """A model that answers prompts. All methods may be called from any thread."""

    card: ModelCard

    def count_tokens(self, text: str) -> int:
        """The number of tokens of `text`, special tokens not counted."""
        ...

    def submit(self, request: Request) -> "Future[Completion]":
        """Queues a request. Cancelling its future, at any time, stops the work on it.

        It fails with `BadInput` for a prompt over the context, a grammar that does not compile or an adapter that is
        not loaded, with `Retryable` when this one request failed, and with `EngineDead` when the engine is at its end.
        """
        ...

    def submit_all(self, requests: Sequence[Request]) -> "list[Future[Completion]]":
        """Queues the requests of one document, so that an idle engine does not start on the first one alone."""
        ...

    def load_adapter(self, folder: Path) -> str:
        """Serves a LoRA adapter from now on; its name, a digest: one name, one content, for ever.

        Raises `Misconfigured` for what cannot be served here.
        """
        ...

    def drop_adapter(self, name: str) -> None:
        """Forgets an adapter once what runs on it is done. One that is not loaded is no error."""
        ...

    def close(self) -> None:
        """Stops taking requests and fails those that wait."""
        ...
