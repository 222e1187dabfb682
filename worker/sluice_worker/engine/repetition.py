"""Keeps a list of distinct values distinct: small models fall into saying the last one again and again."""

import re
from collections.abc import Callable, Sequence

import torch

# The open list at the end of an answer: the items before, the current one, and its closing quote if it is there.
_LIST = re.compile(r'\[((?:"(?:[^"\\]|\\.)*", )+)"((?:[^"\\]|\\.)*)("?)$')
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)", ')


class Distinct:
    """Follows one answer. An item that stands in its list already may not be followed by another: the list must end.

    `texts` holds what each token of the vocabulary writes.
    """

    def __init__(self, texts: Sequence[str], step: Callable[[int], str | None]) -> None:
        self._goes_on = torch.tensor([text.startswith('",') for text in texts])
        self._ends = torch.tensor([text.startswith("]") for text in texts])
        self._step = step
        self._answer = ""

    def take(self, token: int) -> None:
        """Notes a token that was taken."""
        self._answer += self._step(token) or ""

    def forbidden(self) -> torch.Tensor | None:
        """[vocabulary], true for tokens that may not come next; None when any may."""
        found = _LIST.search(self._answer)
        if found is None or found[2] not in _ITEM.findall(found[1]):
            return None
        return ~self._ends if found[3] else self._goes_on
