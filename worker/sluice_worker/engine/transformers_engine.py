"""The engine on Hugging Face Transformers: runs anywhere torch does, batched by the micro-batcher."""

import functools
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from llguidance import LLMatcher
from safetensors import SafetensorError
from tokenizers.decoders import DecodeStream
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    StoppingCriteria,
)

from sluice_schemas.errors import BadInput, EngineDead, Misconfigured
from sluice_worker.engine import model_folder
from sluice_worker.engine.encoder import Encoder
from sluice_worker.engine.guide import Grammars, Guide
from sluice_worker.engine.microbatch import MicroBatcher, Outcome
from sluice_worker.engine.repetition import Distinct
from sluice_worker.engine.request import Completion, ModelCard, Request, Token

CHUNK_SHARE = 0.5
"""Of the context, for text, when the model gives no advice of its own."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with what could be worked out of it before its batch: token ids and a compiled grammar."""

    request: Request
    ids: list[int]
    matcher: LLMatcher | None

    @property
    def max_tokens(self) -> int:
        return self.request.max_tokens


class TransformersEngine:
    """Greedy decoding in bfloat16 (float32 on request). float16 is refused: OneKE repeats endlessly in it.

    Advice in the model's config.json goes into the card:
    `"sluice": {"chunk_tokens": n, "answer_tokens": n, "decoding": "grounded"}`, each of them optional.
    """

    def __init__(self, folder: Path, *, device: str, dtype: str = "bfloat16", batch_tokens: int = 16_384) -> None:
        model_folder.check(folder)
        if dtype not in ("bfloat16", "float32"):
            raise Misconfigured(f"dtype {dtype} is refused: the model was tuned in bfloat16 and breaks in float16.")
        self._tokenizer = _tokenizer(folder)
        self._encoder = Encoder(self._tokenizer)
        self._model = _model(folder, getattr(torch, dtype))
        self._model.to(device).eval()
        # Chat models ship with sampling and penalties switched on, which `generate` would mix into ours.
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._tokenizer.eos_token_id, pad_token_id=self._tokenizer.pad_token_id
        )
        self.card = _card(folder, self._model.config.max_position_embeddings)
        self._texts = [self._tokenizer.decode([i]) for i in range(self._model.config.vocab_size)]
        self._grammars = Grammars(self._tokenizer, vocabulary=self._model.config.vocab_size)
        self._batcher: MicroBatcher[Prepared] = MicroBatcher(self._run, budget_tokens=batch_tokens)

    def count_tokens(self, text: str) -> int:
        return len(self._encoder.text(text))

    def submit(self, request: Request) -> "Future[Completion]":
        try:
            prepared = self._prepare(request)
        except BadInput as exc:
            refused: Future[Completion] = Future()
            refused.set_exception(exc)
            return refused
        return self._batcher.submit(prepared, prompt_tokens=len(prepared.ids))

    def close(self) -> None:
        self._batcher.close()

    def _prepare(self, request: Request) -> Prepared:
        ids = self._encoder.prompt(request.prompt)
        if len(ids) + request.max_tokens > self.card.context_tokens:
            raise BadInput(
                f"A prompt of {len(ids)} tokens and an answer of up to {request.max_tokens} do not fit the "
                f"model's context of {self.card.context_tokens}. Lower SLUICE_CHUNK_TOKENS or split the schema."
            )
        return Prepared(request, ids, self._grammars.compile(request.grammar))

    @torch.inference_mode()
    def _run(self, batch: Sequence[Prepared]) -> Sequence[Outcome]:
        padded = self._tokenizer.pad({"input_ids": [each.ids for each in batch]}, return_tensors="pt")
        padded = padded.to(self._model.device)
        width = padded["input_ids"].shape[1]
        # A batch that failed runs again one by one, and a matcher has moved on by then.
        matchers = [each.matcher and each.matcher.deep_copy() for each in batch]
        guide = Guide(matchers, [self._distinct(each) for each in batch], width=width)
        try:
            output = self._model.generate(
                **padded,
                do_sample=False,
                max_new_tokens=max(each.max_tokens for each in batch),
                logits_processor=[guide],
                stopping_criteria=[_RowLimits([each.request for each in batch], width)],
            )
        except torch.OutOfMemoryError as exc:
            torch.cuda.empty_cache()
            raise BadInput("The batch does not fit the device's memory. Lower SLUICE_BATCH_TOKENS.") from exc
        except torch.AcceleratorError as exc:
            raise EngineDead(f"The device failed: {exc}") from exc
        rows = zip(batch, output[:, width:].tolist(), guide.logprobs(), strict=True)
        completions = [self._completion(each, ids, logprobs) for each, ids, logprobs in rows]
        return [
            replace(each, is_whole=False) if is_outgrown else each
            for each, is_outgrown in zip(completions, guide.outgrown(), strict=True)
        ]

    def _distinct(self, prepared: Prepared) -> Distinct | None:
        if prepared.matcher is None or not prepared.request.is_distinct:
            return None
        stream = DecodeStream(skip_special_tokens=True)
        return Distinct(self._texts, functools.partial(stream.step, self._tokenizer.backend_tokenizer))

    def _completion(self, prepared: Prepared, ids: list[int], logprobs: list[float]) -> Completion:
        end = self._tokenizer.eos_token_id
        is_whole = end in ids[: prepared.max_tokens]
        length = ids.index(end) if is_whole else min(len(ids), prepared.max_tokens)
        stream = DecodeStream(skip_special_tokens=True)
        backend = self._tokenizer.backend_tokenizer
        pairs = zip(ids[:length], logprobs, strict=False)
        tokens = tuple(Token(stream.step(backend, each) or "", logprob) for each, logprob in pairs)
        return Completion("".join(token.text for token in tokens), tokens, is_whole, len(prepared.ids))


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if tokenizer.eos_token is None:
        raise Misconfigured(f"The tokenizer in {folder} has no end token. Set eos_token in tokenizer_config.json.")
    if tokenizer.pad_token is None:  # LLaMA 2 has none; what it is does not matter, padding is masked
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, attn_implementation="sdpa"
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as exc:  # a shard missing or cut off, wrong shapes
        raise Misconfigured(f"The model in {folder} does not load: {exc}. Copy it again.") from exc


def _card(folder: Path, context_tokens: int) -> ModelCard:
    advice = model_folder.config(folder).get("sluice")
    advice = advice if isinstance(advice, dict) else {}
    return ModelCard(
        name=f"{folder.name}@{model_folder.digest(folder)}",
        context_tokens=context_tokens,
        chunk_tokens=int(advice.get("chunk_tokens", context_tokens * CHUNK_SHARE)),
        answer_tokens=int(advice.get("answer_tokens", context_tokens * (1 - CHUNK_SHARE) / 2)),
        decoding=advice.get("decoding", "free"),
        decodings=frozenset({"free", "json", "grounded"}),
    )


@dataclass(frozen=True)
class _RowLimits(StoppingCriteria):  # type: ignore[misc]
    """Ends a sequence at its own `max_tokens`, or when its request is cancelled."""

    requests: Sequence[Request]
    width: int

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        done = input_ids.shape[1] - self.width
        ended = [done >= request.max_tokens or request.cancelled.is_set() for request in self.requests]
        return torch.tensor(ended, device=input_ids.device)
