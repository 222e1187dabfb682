"""Prompts with their answers as token ids, and batches of them: only answers count in the loss."""

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import NamedTuple

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


class Batch(NamedTuple):
    """`tokens` [sequences, longest], padded on the right, and which of them are to be predicted.

    `answers` and `prompts` index the predictions that the model makes at all places but each row's last, flattened:
    those of answer tokens, and those of prompt tokens. Made here, since a device would wait to be asked for them.
    """

    tokens: torch.Tensor
    answers: torch.Tensor
    prompts: torch.Tensor

    @property
    def wanted(self) -> torch.Tensor:
        """The token after each place, flattened as the predictions are."""
        return self.tokens[:, 1:].flatten()

    def to(self, device: str) -> "Batch":
        return Batch(*(each.to(device, non_blocking=True) for each in self))


def collate(sequences: SequenceOf[Sequence]) -> Batch:
    """Padding goes to the right, where causal attention never looks: no mask is needed."""
    longest = max(map(len, sequences))
    tokens = torch.zeros(len(sequences), longest, dtype=torch.long)
    answers, prompts = [], []
    for i, sequence in enumerate(sequences):
        tokens[i, : len(sequence)] = torch.tensor(sequence.tokens)
        # The prediction of token t is made at t - 1.
        first, row = sequence.answer_start - 1, i * (longest - 1)
        prompts.append(torch.arange(row, row + first))
        answers.append(torch.arange(row + first, row + len(sequence) - 1))
    return Batch(tokens, torch.cat(answers), torch.cat(prompts))
