"""Converted records as token ids on disk: fitted once by one process, read by all without a copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import orjson
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import Dataset
from transformers import AutoTokenizer

from sluice_schemas.errors import Misconfigured
from sluice_schemas.schema import Task
from sluice_worker.engine.encoder import Encoder
from sluice_worker.training.exercise import Exercise
from sluice_worker.training.lengths import Fitting, Lengths, Tally
from sluice_worker.training.sequence import IGNORED
from sluice_worker.training.tuning_plan import Tuning


@dataclass(frozen=True, slots=True)
class Sequences:
    """All sequences end to end: `tokens`, where each ends in them, and where in each its answer starts."""

    tokens: torch.Tensor
    ends: torch.Tensor
    answers: torch.Tensor
    tally: dict[str, Any]

    @property
    def lengths(self) -> list[int]:
        lengths: list[int] = self.ends.diff(prepend=self.ends.new_zeros(1)).tolist()
        return lengths

    @classmethod
    def read(cls, path: Path) -> "Sequences":
        with safe_open(path, framework="pt") as saved:
            tally = orjson.loads(saved.metadata()["tally"])
            return cls(saved.get_tensor("tokens"), saved.get_tensor("ends"), saved.get_tensor("answers"), tally)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        begin = int(self.ends[index - 1]) if index else 0
        return self.tokens[begin : int(self.ends[index])], int(self.answers[index])


class Passes(Dataset[dict[str, Any]]):
    """What the model is shown at once, pass by pass."""

    def __init__(self, sequences: Sequences, passes: list[list[int]]) -> None:
        self._sequences = sequences
        self._passes = passes

    def __len__(self) -> int:
        return len(self._passes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return collate([self._sequences[each] for each in self._passes[index]])


def collate(sequences: list[tuple[torch.Tensor, int]]) -> dict[str, Any]:
    """Padded on the right, where causal attention never looks: no mask is needed.

    The model makes its predictions only from the place before the first answer on: logits over all places would be
    most of the memory.
    """
    longest = max(len(tokens) for tokens, _ in sequences)
    first = min(answer for _, answer in sequences) - 1
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    labels = torch.full((len(sequences), longest), IGNORED)
    for i, (tokens, answer) in enumerate(sequences):
        ids[i, : len(tokens)] = tokens
        labels[i, answer : len(tokens)] = tokens[answer:]
    return {"input_ids": ids, "labels": labels[:, first:], "logits_to_keep": longest - first, "use_cache": False}


def prepare(records: Path, target: Path, *, base: Path, tuning: Tuning) -> None:
    """Writes the sequences of a JSONL file to `target`.

    Raises `Misconfigured` for a line that is no record, and when nothing is left to learn from.
    """
    lengths = Lengths(sequence=tuning.sequence_tokens, answer=tuning.answer_tokens, prompt=tuning.prompt_tokens)
    fitting = Fitting(Encoder(AutoTokenizer.from_pretrained(base, trust_remote_code=False)), lengths, form=tuning.form)
    tokens: list[torch.Tensor] = []
    answers: list[int] = []
    for exercise in read(records):
        if fitted := fitting.fit(exercise):
            tokens.append(torch.tensor(fitted.tokens, dtype=torch.int32))
            answers.append(fitted.answer_start)
    if not tokens:
        raise Misconfigured(_nothing(records, fitting.tally))
    ends = torch.tensor([len(each) for each in tokens]).cumsum(0)
    metadata = {"tally": orjson.dumps(_counted(fitting.tally)).decode()}
    save_file({"tokens": torch.cat(tokens), "ends": ends, "answers": torch.tensor(answers)}, target, metadata=metadata)


def read(records: Path) -> Iterator[Exercise]:
    """The records of a file that `sluice convert --split train` wrote. Raises `Misconfigured`, with the line."""
    with records.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _exercise(line, f"{records}, line {number}")


def _exercise(line: bytes, place: str) -> Exercise:
    try:
        fields = orjson.loads(line)
        task, instruction, output = (fields[name] for name in ("task", "instruction", "output"))
        is_record = task in get_args(Task) and isinstance(orjson.loads(instruction or "{}"), dict)
        is_record = is_record and isinstance(output, str)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        is_record = False
    if not is_record:
        raise Misconfigured(f"{place} is no training record. Make the file with `sluice convert --split train`.")
    return Exercise(task, instruction, output)


def _nothing(records: Path, tally: Tally) -> str:
    if not tally.dropped:
        return f"{records} holds no records. Make the file with `sluice convert --split train`."
    return f"Nothing of {records} can be trained on: {tally.report()} Raise sequence_tokens or answer_tokens."


def _counted(tally: Tally) -> dict[str, Any]:
    return {"kept": tally.kept, "shortened": tally.shortened, "dropped": dict(sorted(tally.dropped.items()))}
