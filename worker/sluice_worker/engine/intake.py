"""What every engine that holds a tokenizer does with a request before a model sees it: one way for all of them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from llguidance import LLMatcher
from tokenizers.decoders import DecodeStream
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from sluice_schemas.errors import BadInput, Misconfigured
from sluice_schemas.schema import Decoding
from sluice_worker.engine import model_folder
from sluice_worker.engine.encoder import Encoder
from sluice_worker.engine.guide import Grammars
from sluice_worker.engine.request import Completion, ModelCard, Request, Token

CHUNK_SHARE = 0.5
"""Of the context, for text, when the model gives no advice of its own."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with what could be worked out of it beforehand: token ids, a compiled grammar, the answer's future."""

    request: Request
    ids: list[int]
    matcher: LLMatcher | None = None
    future: "Future[Completion]" = field(default_factory=Future)

    @property
    def prompt_tokens(self) -> int:
        return len(self.ids)

    @property
    def max_tokens(self) -> int:
        return self.request.max_tokens


class Intake:
    """Tokenizes, measures and compiles for the model of one folder. A model is described by its `card`.

    Advice in the model's config.json goes into the card:
    `"sluice": {"chunk_tokens": n, "answer_tokens": n, "decoding": "grounded"}`, each of them optional.
    """

    def __init__(self, folder: Path, *, context_tokens: int | None = None) -> None:
        config = model_folder.config(folder)
        self.tokenizer = _tokenizer(folder)
        self.encoder = Encoder(self.tokenizer)
        self.card = _card(folder, config, context_tokens or _integer(folder, config, "max_position_embeddings"))
        self.grammars = Grammars(self.tokenizer, vocabulary=_integer(folder, config, "vocab_size"))

    def count_tokens(self, text: str) -> int:
        """The number of tokens of `text`, special tokens not counted."""
        return len(self.encoder.text(text))

    def prepare(self, request: Request) -> Prepared:
        """Raises `BadInput` for a prompt over the context and for a grammar that does not compile."""
        ids = self.encoder.prompt(request.prompt)
        if len(ids) + request.max_tokens > self.card.context_tokens:
            raise BadInput(
                f"A prompt of {len(ids)} tokens and an answer of up to {request.max_tokens} do not fit the "
                f"model's context of {self.card.context_tokens}. Lower SLUICE_CHUNK_TOKENS or split the schema."
            )
        return Prepared(request, ids, self.grammars.compile(request.grammar))

    def tokens(self, ids: Sequence[int], logprobs: Iterable[float]) -> tuple[Token, ...]:
        """Each id with the characters that it completed and its log-probability."""
        stream, backend = DecodeStream(skip_special_tokens=True), self.tokenizer.backend_tokenizer
        pairs = zip(ids, logprobs, strict=False)
        return tuple(Token(stream.step(backend, each) or "", logprob) for each, logprob in pairs)


def refused(error: Exception) -> "Future[Completion]":
    """A future that has failed already."""
    future: Future[Completion] = Future()
    future.set_exception(error)
    return future


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(
        folder, padding_side="left", trust_remote_code=False
    )
    if tokenizer.eos_token is None:
        raise Misconfigured(f"The tokenizer in {folder} has no end token. Set eos_token in tokenizer_config.json.")
    if tokenizer.pad_token is None:  # LLaMA 2 has none; what it is does not matter, padding is masked
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _card(folder: Path, config: dict[str, object], context_tokens: int) -> ModelCard:
    advice = config.get("sluice")
    advice = advice if isinstance(advice, dict) else {}
    return ModelCard(
        name=f"{folder.name}@{model_folder.digest(folder)}",
        context_tokens=context_tokens,
        chunk_tokens=int(advice.get("chunk_tokens", context_tokens * CHUNK_SHARE)),
        answer_tokens=int(advice.get("answer_tokens", context_tokens * (1 - CHUNK_SHARE) / 2)),
        decoding=advice.get("decoding", "free"),
        decodings=frozenset[Decoding]({"free", "json", "grounded"}),
    )


def _integer(folder: Path, config: dict[str, object], key: str) -> int:
    found = config.get(key)
    if not isinstance(found, int):
        raise Misconfigured(f"{folder}/config.json does not say its {key}. Copy the model again.")
    return found
