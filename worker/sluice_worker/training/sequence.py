"""Prompts with their answers as token ids, and batches of them: only answers count in the loss."""

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import torch

IGNORED = -100
"""The label of a token that does not count in the loss, as `torch.nn.functional.cross_entropy` has it."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Token ids of a prompt and its answer, both with their end marks; the answer starts at `answer_start`."""

    tokens: tuple[int, ...]
    answer_start: int

    @property
    def labels(self) -> tuple[int, ...]:
        """As long as `tokens`: the answer's ids, and `IGNORED` for the prompt."""
        return (IGNORED,) * self.answer_start + self.tokens[self.answer_start :]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class Batch:
    """`tokens` and `is_answer`, both [sequences, longest], padded on the right."""

    tokens: torch.Tensor
    is_answer: torch.Tensor


def collate(sequences: SequenceOf[Sequence]) -> Batch:
    """Padding goes to the right, where causal attention never looks: no mask is needed."""
    longest = max(map(len, sequences))
    tokens = torch.zeros(len(sequences), longest, dtype=torch.long)
    is_answer = torch.zeros(len(sequences), longest, dtype=torch.bool)
    for i, sequence in enumerate(sequences):
        tokens[i, : len(sequence)] = torch.tensor(sequence.tokens)
        is_answer[i, sequence.answer_start : len(sequence)] = True
    return Batch(tokens, is_answer)
