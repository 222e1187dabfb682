"""Checks recorded truncation and masking: one character is one token, a special token is one too."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice_worker.protocol.prompt import Prompt, render
from sluice_worker.protocol.templates import Special
from sluice_worker.training.sequence import IGNORED
from sluice_worker.training.truncation import Truncation

BOS, EOS = "<s>", "</s>"


@dataclass(slots=True)
class CharacterTokens:
    """Numbers tokens as they come."""

    names: list[str] = field(default_factory=list)

    def ids(self, tokens: Sequence[str]) -> list[int]:
        for token in tokens:
            if token not in self.names:
                self.names.append(token)
        return [self.names.index(token) for token in tokens]

    def prompt(self, prompt: Prompt) -> list[int]:
        pieces = ([piece.token] if isinstance(piece, Special) else list(piece) for piece in prompt.pieces)
        return self.ids([BOS, *itertools.chain.from_iterable(pieces)])

    def written(self, ids: Sequence[int]) -> str:
        """As the vectors write it: runs of six or more characters as c{n}."""
        runs = ((self.names[each], len(list(run))) for each, run in itertools.groupby(ids))
        return "".join(f"{name}{{{count}}}" if count > 5 else name * count for name, count in runs)


def check_preprocess(vector: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    if "source_len" in case:
        limits = Truncation(case["cutoff_len"], case["max_target_length"])
        shares = list(limits.shares(prompt=case["source_len"], answer=case["target_len"]))
        if shares != case["expected"]:
            yield f"shares are {shares}, not {case['expected']}"
    elif (got := _preprocessed(case)) != case["expected"]:
        yield f"{got}, not {case['expected']}"


def _preprocessed(case: dict[str, Any]) -> dict[str, Any] | str:
    query, response = _letters(case["query"]), _letters(case["response"])
    is_training = case["mode"] == "sft"
    if not query or (is_training and not response):
        return "dropped"
    tokens = CharacterTokens()
    prompt = render(query, form=case["template"])
    (end,) = tokens.ids([prompt.eos or EOS])
    asked, answer = tokens.prompt(prompt), tokens.ids(response)
    limits = Truncation(case["cutoff_len"], case["max_target_length"])
    if not is_training:
        return _described(tokens, limits.prediction(asked), limits.prediction([*answer, end]))
    if prompt.ends_sequence:
        sequence = limits.training(asked, answer, end=end)
    else:
        sequence = limits.training(asked, [*answer, end])
    return _described(tokens, sequence.tokens, sequence.labels)


def _letters(written: str) -> str:
    letter, _, count = written.partition("*")
    return letter * int(count)


def _described(tokens: CharacterTokens, ids: Sequence[int], labels: Sequence[int]) -> dict[str, Any]:
    unmasked = [each for each in labels if each != IGNORED]
    return {
        "n_input": len(ids),
        "n_labels": len(labels),
        "n_masked": len(labels) - len(unmasked),
        "input_rle": tokens.written(ids),
        "labels_unmasked_rle": tokens.written(unmasked),
        "attention": True,
    }
