"""Greedy decoding of one padded batch, whose rows leave it once they have ended.

`generate` of Transformers goes on with every row until the longest has ended; of a batch's answers the longest is often
several times as long as the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from sluice_worker.engine.guide import Guide
from sluice_worker.engine.intake import Prepared

LEAVE_TOGETHER = 8
"""Rows that have ended leave when they are an eighth of the batch: keys and values of the others are copied then."""


@dataclass(slots=True)
class Answer:
    """The tokens of one request, its end token among them, and their log-probabilities."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class Decoding:
    """One batch on its way: each request gets tokens up to its own `max_tokens`, or `end`, or while it is wanted.

    `padded` holds `input_ids` and `attention_mask`, padded on the left; `adapters` names PEFT's for each request.
    """

    def __init__(
        self,
        model: Any,
        batch: Sequence[Prepared],
        padded: Any,
        guide: Guide,
        *,
        end: int,
        adapters: Sequence[str] = (),
    ) -> None:
        self._model = model
        self._batch = batch
        self._guide = guide
        self._end = end
        self._adapters = adapters
        self._answers = [Answer() for _ in batch]
        self._rows = [*range(len(batch))]
        self._ended: set[int] = set()
        self._cache = DynamicCache(config=model.config)
        self._ids, self._mask = padded["input_ids"], padded["attention_mask"]
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)

    def run(self) -> list[Answer]:
        """To the end of the last."""
        while self._rows:
            self._step()
            self._part()
        return self._answers

    def _step(self) -> None:
        mixed = {"adapter_names": [self._adapters[row] for row in self._rows]} if self._adapters else {}
        logits = self._model(
            input_ids=self._ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
            **mixed,
        ).logits[:, -1]
        taken, logprobs = self._guide.take(logits)
        for row, token, logprob in zip(self._rows, taken.tolist(), logprobs.tolist(), strict=True):
            if row not in self._ended:
                self._note(row, token, logprob)
        self._ids, self._positions = taken.unsqueeze(-1), self._positions[:, -1:] + 1
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._rows), 1)], 1)

    def _note(self, row: int, token: int, logprob: float) -> None:
        answer, asked = self._answers[row], self._batch[row]
        answer.tokens.append(token)
        answer.logprobs.append(logprob)
        if token == self._end or len(answer.tokens) >= asked.max_tokens or asked.future.cancelled():
            self._ended.add(row)

    def _part(self) -> None:
        """Goes on without those that have ended, once they are enough."""
        kept = [place for place, row in enumerate(self._rows) if row not in self._ended]
        if kept and (len(self._rows) - len(kept)) * LEAVE_TOGETHER < len(self._rows):
            return
        places = torch.tensor(kept, dtype=torch.long, device=self._ids.device)
        self._cache.batch_select_indices(places)
        self._ids, self._positions, self._mask = (each[places] for each in (self._ids, self._positions, self._mask))
        self._guide.keep(kept)
        self._rows = [self._rows[place] for place in kept]
