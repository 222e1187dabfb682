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


class Endings:
    """Which tokens of a vocabulary end an item or its list, worked out once: `texts` holds what each token writes."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._going_on = {
            closing: torch.tensor([text.startswith(f"{closing},") for text in texts]) for closing in _CLOSINGS
        }
        self._not_the_end = torch.tensor([not text.startswith("]") for text in texts])

    def forbidden(self, missing: str) -> torch.Tensor:
        """[vocabulary], true for tokens that go on after an item of which `missing` is still to come."""
        return self._going_on[missing] if missing else self._not_the_end


class Distinct:
    """Follows one answer. An item that stands in its list already may not be followed by another: the list must end.

    Items are strings, or objects as those of relations are. `step` gives the characters that a token completes.
    """

    def __init__(self, endings: Endings, step: Callable[[int], str | None]) -> None:
        self._endings = endings
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
        return None if missing is None else self._endings.forbidden(missing)
