"""Greedy decoding under grammars: at each step only tokens that keep the answer in its grammar may be taken."""

from collections.abc import Sequence

import llguidance.hf
import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import LogitsProcessor, PreTrainedTokenizerFast

from sluice_schemas.errors import BadInput
from sluice_worker.engine.repetition import Distinct


class Grammars:
    """Compiles grammars for one tokenizer. A grammar that does not compile fails its own request alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, *, vocabulary: int) -> None:
        self._tokenizer: LLTokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)

    def compile(self, grammar: str | None) -> LLMatcher | None:
        """A fresh matcher, or None for a request without a grammar. Raises `BadInput`."""
        if grammar is None:
            return None
        matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(grammar), log_level=0)
        if matcher.is_error():
            # The first line says what is wrong; the others quote the grammar, and with it the document.
            reason = matcher.get_error().partition("\n")[0]
            raise BadInput(
                f"The grammar for this document does not compile: {reason}. "
                "Publish a version of the schema with `decoding: free`."
            )
        return matcher


class Guide(LogitsProcessor):  # type: ignore[misc]
    """Masks what each row's grammar forbids, and notes what the model itself thought of the token that is taken.

    The log-probability is taken before masking: mass that the mask removed lowers the confidence.
    """

    def __init__(self, matchers: Sequence[LLMatcher | None], lists: Sequence[Distinct | None], *, width: int) -> None:
        self._matchers = matchers
        self._lists = lists
        self._width = width
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        before = scores.float().log_softmax(-1)
        if any(self._matchers):
            self._advance(input_ids)
            scores = scores.masked_fill(~self._allowed(scores).to(scores.device), float("-inf"))
        self._steps.append(before.gather(-1, scores.argmax(-1, keepdim=True)).squeeze(-1))
        return scores

    def logprobs(self) -> list[list[float]]:
        """[sequences][tokens], natural logarithms."""
        rows: list[list[float]] = torch.stack(self._steps, 1).tolist()
        return rows

    def outgrown(self) -> list[bool]:
        """Which sequences were ended early because their grammar met a limit of the parser."""
        return [matcher is not None and matcher.is_error() for matcher in self._matchers]

    def _advance(self, input_ids: torch.Tensor) -> None:
        """Tells the grammars which tokens were taken in the last step. Padding behind an end is no error."""
        if input_ids.shape[1] == self._width:
            return
        for matcher, items, token in zip(self._matchers, self._lists, input_ids[:, -1].tolist(), strict=True):
            if matcher is not None:
                matcher.try_consume_tokens([token])
            if items is not None:
                items.take(token)

    def _allowed(self, scores: torch.Tensor) -> torch.Tensor:
        """[sequences, vocabulary]; a row without a grammar may take anything, one whose grammar is through must end."""
        rows, vocabulary = scores.shape
        words = torch.full((rows, (vocabulary + 31) // 32), -1, dtype=torch.int32)
        for i, matcher in enumerate(self._matchers):
            if matcher is not None:
                row = words[i]
                matcher.unsafe_compute_mask_ptr(row.data_ptr(), row.numel() * row.element_size())
        bits = (words.unsqueeze(-1) >> torch.arange(32, dtype=torch.int32)) & 1
        allowed = bits.bool().flatten(1)[:, :vocabulary]
        for row, items in zip(allowed, self._lists, strict=True):
            forbidden = None if items is None else items.forbidden()
            if forbidden is not None and (row & ~forbidden).any():
                row &= ~forbidden
        return allowed
