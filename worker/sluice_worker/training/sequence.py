"""Exercises as token ids, and batches of them: only answers count in the loss."""

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from sluice_worker.protocol.prompt import render
from sluice_worker.training.exercise import Exercise


@dataclass(frozen=True, slots=True)
class Sequence:
    """Token ids of a prompt and its answer, both with their end marks; the answer starts at `answer_start`."""

    tokens: tuple[int, ...]
    answer_start: int

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class Batch:
    """`tokens` and `is_answer`, both [sequences, longest], padded on the right."""

    tokens: torch.Tensor
    is_answer: torch.Tensor


def encode(exercise: Exercise, tokenizer: PreTrainedTokenizerBase) -> Sequence:
    """bos + prompt + answer + eos, prompt and answer encoded apart as the protocol's training does (section 10)."""
    prompt = tokenizer.encode(render(exercise.instruction).text, add_special_tokens=False)
    answer = tokenizer.encode(exercise.answer, add_special_tokens=False)
    return Sequence((tokenizer.bos_token_id, *prompt, *answer, tokenizer.eos_token_id), 1 + len(prompt))


def collate(sequences: SequenceOf[Sequence]) -> Batch:
    """Padding goes to the right, where causal attention never looks: no mask is needed."""
    longest = max(map(len, sequences))
    tokens = torch.zeros(len(sequences), longest, dtype=torch.long)
    is_answer = torch.zeros(len(sequences), longest, dtype=torch.bool)
    for i, sequence in enumerate(sequences):
        tokens[i, : len(sequence)] = torch.tensor(sequence.tokens)
        is_answer[i, sequence.answer_start : len(sequence)] = True
    return Batch(tokens, is_answer)
