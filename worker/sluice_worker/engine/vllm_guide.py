"""Our grammars inside vLLM's engine process, as a logits processor of its public extension point.

vLLM's own structured output masks before it takes log-probabilities, so mass that the mask removed would be lost; it
knows nothing of repeated items; and a grammar that fails there has taken whole engines down (vLLM #43920, #45346).
"""

from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from sluice_worker.engine.guide import Grammars, Masks, Walk

if TYPE_CHECKING:
    from vllm.config import VllmConfig

ARGUMENT = "sluice"
"""The key among a request's `extra_args` under which its grammar stands."""


def arguments(grammar: str | None, *, is_distinct: bool) -> dict[str, Any] | None:
    """What to put into `SamplingParams.extra_args`."""
    return None if grammar is None else {ARGUMENT: {"grammar": grammar, "is_distinct": is_distinct}}


class _Row:
    """A request of the running batch. `ids` is vLLM's own list, which grows with each token."""

    def __init__(self, walk: Walk, ids: list[int]) -> None:
        self.walk = walk
        self._ids = ids
        self._taken = 0

    def catch_up(self) -> Walk:
        for token in self._ids[self._taken :]:
            self.walk.take(token)
        self._taken = len(self._ids)
        return self.walk


class GrammarProcessor(LogitsProcessor):  # type: ignore[misc]
    """Holds each request that brings a grammar to it. Requests without one are left alone."""

    def __init__(self, vllm_config: "VllmConfig", device: torch.device, is_pin_memory: bool) -> None:
        model = vllm_config.model_config
        tokenizer = AutoTokenizer.from_pretrained(model.tokenizer, trust_remote_code=False)
        vocabulary = model.get_vocab_size()
        self._grammars = Grammars(tokenizer, vocabulary=vocabulary)
        self._masks = Masks(vocabulary=vocabulary)
        self._rows: dict[int, _Row] = {}

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        process_dict_updates(self._rows, batch_update, self._row)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """`logits` [requests, vocabulary], masked in place."""
        if self._rows:
            allowed = self._masks.allowed([row.catch_up() for row in self._rows.values()])
            indices = torch.tensor([*self._rows], device=logits.device)
            forbidden = ~allowed.to(logits.device, non_blocking=True)
            logits[indices] = logits[indices].masked_fill(forbidden, float("-inf"))
        return logits

    def _row(self, params: SamplingParams, _: list[int] | None, ids: list[int]) -> _Row | None:
        given = (params.extra_args or {}).get(ARGUMENT)
        if given is None:
            return None
        matcher = self._grammars.compile(given["grammar"])
        return None if matcher is None else _Row(self._grammars.walk(matcher, is_distinct=given["is_distinct"]), ids)
