"""Greedy decoding under grammars: at each step only tokens that keep the answer in its grammar may be taken."""

import functools
from collections.abc import Sequence

import llguidance.hf
import torch
from llguidance import LLExecutor, LLMatcher, LLTokenizer
from tokenizers.decoders import DecodeStream
from transformers import PreTrainedTokenizerFast

from sluice_schemas.errors import BadInput
from sluice_worker.engine.repetition import Distinct, Endings


class Grammars:
    """Compiles grammars for one tokenizer. A grammar that does not compile fails its own request alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, *, vocabulary: int) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._tokenizer: LLTokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        self._endings = Endings(tokenizer.batch_decode([[i] for i in range(vocabulary)]))

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

    def walk(self, matcher: LLMatcher, *, is_distinct: bool) -> "Walk":
        """A way through a compiled grammar; the matcher itself stays where it is."""
        return Walk(matcher.deep_copy(), self._distinct() if is_distinct else None)

    def _distinct(self) -> Distinct:
        stream = DecodeStream(skip_special_tokens=True)
        return Distinct(self._endings, functools.partial(stream.step, self._backend))


class Walk:
    """One answer on its way through its grammar; `items` ends a list in which the model repeats itself."""

    def __init__(self, matcher: LLMatcher, items: Distinct | None) -> None:
        self.matcher = matcher
        self._items = items

    def take(self, token: int) -> None:
        """Notes a token that was taken. Padding behind an end is no error."""
        self.matcher.try_consume_tokens([token])
        if self._items is not None:
            self._items.take(token)

    def narrow(self, allowed: torch.Tensor) -> None:
        """Takes what would repeat an item out of `allowed` [vocabulary], unless nothing were left."""
        forbidden = None if self._items is None else self._items.forbidden()
        if forbidden is not None and (allowed & ~forbidden).any():
            allowed &= ~forbidden

    @property
    def is_outgrown(self) -> bool:
        """Whether the answer was ended early because its grammar met a limit of the parser."""
        return bool(self.matcher.is_error())


class Masks:
    """Works out what may come next, for many answers at once, on all cores."""

    def __init__(self, *, vocabulary: int) -> None:
        self._vocabulary = vocabulary
        self._executor = LLExecutor()

    def allowed(self, walks: Sequence[Walk]) -> torch.Tensor:
        """[walks, vocabulary]; one whose grammar is through must end."""
        words = torch.zeros((len(walks), (self._vocabulary + 31) // 32), dtype=torch.int32)
        matchers = [(walk.matcher, i) for i, walk in enumerate(walks)]
        self._executor.unsafe_compute_mask_ptr(matchers, words.data_ptr(), words.shape[1] * 4, len(walks))
        bits = (words.unsqueeze(-1) >> torch.arange(32, dtype=torch.int32)) & 1
        allowed = bits.bool().flatten(1)[:, : self._vocabulary]
        for walk, row in zip(walks, allowed, strict=True):
            walk.narrow(row)
        return allowed


class Guide:
    """Takes the next token of each row of a batch: the likeliest that the row's grammar allows.

    A row whose walk is None may take anything. The log-probability is taken before masking: mass that the mask
    removed lowers the confidence.
    """

    def __init__(self, walks: Sequence[Walk | None], masks: Masks) -> None:
        self._walks = list(walks)
        self._masks = masks

    def take(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of logits [rows, vocabulary] the tokens taken and their natural log-probabilities, [rows] each."""
        before = logits.float().log_softmax(-1)
        held = {row: walk for row, walk in enumerate(self._walks) if walk is not None}
        if held:
            allowed = self._masks.allowed([*held.values()]).to(logits.device)
            rows = torch.tensor([*held], device=logits.device)
            logits = logits.index_put((rows,), logits[rows].masked_fill(~allowed, float("-inf")))
        taken = logits.argmax(-1)
        tokens = taken.tolist() if held else []
        for row, walk in held.items():
            walk.take(tokens[row])
        return taken, before.gather(-1, taken.unsqueeze(-1)).squeeze(-1)

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone, in this order."""
        self._walks = [self._walks[row] for row in rows]
