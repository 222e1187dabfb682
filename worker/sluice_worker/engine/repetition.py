"""Keeps a list of distinct items distinct: small models fall into saying the last one again and again."""

import re
from collections.abc import Callable, Sequence

import torch

_STRING = r'"(?:[^"\\]|\\.)*"'
_OBJECT = rf"\{{(?:{_STRING}|[^{{}}\"])*\}}"
_ITEM = re.compile(rf"({_STRING}|{_OBJECT}), ")
# The open list at the end of an answer: the items before, and what there is of the current one.
_OPEN_STRING = r'"(?:[^"\\]|\\.)*'
_OPEN_OBJECT = rf'\{{(?:{_STRING}|[^{{}}"])*(?:{_OPEN_STRING})?'
_LIST = re.compile(rf'\[((?:{_STRING}, )+|(?:{_OBJECT}, )+)({_OPEN_STRING}"?|{_OPEN_OBJECT}\}}?)$')
_CLOSINGS = ("", '"', '"}', "}")
"""What may be missing to the end of an item."""


class Distinct:
    """Follows one answer. An item that stands in its list already may not be followed by another: the list must end.

    Items are strings, or objects as those of relations are. `texts` holds what each token of the vocabulary writes.
    """

    def __init__(self, texts: Sequence[str], step: Callable[[int], str | None]) -> None:
        self._going_on = {
            closing: torch.tensor([text.startswith(f"{closing},") for text in texts]) for closing in _CLOSINGS
        }
        self._ends = torch.tensor([text.startswith("]") for text in texts])
        self._step = step
        self._answer = ""

    def take(self, token: int) -> None:
        """Notes a token that was taken."""
        self._answer += self._step(token) or ""

    def forbidden(self) -> torch.Tensor | None:
        """[vocabulary], true for tokens that may not come next; None when any may."""
        found = _LIST.search(self._answer)
        if found is None:
            return None
        items = set(_ITEM.findall(found[1]))
        missing = next((closing for closing in _CLOSINGS if found[2] + closing in items), None)
        if missing is None:
            return None
        return self._going_on[missing] if missing else ~self._ends
