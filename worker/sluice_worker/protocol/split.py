"""How many labels are asked at once (OneKE's protocol, section 5)."""

from collections.abc import Sequence
from typing import TypeVar

from sluice_schemas.errors import BadInput

T = TypeVar("T")


def split(labels: Sequence[T], k: int) -> list[Sequence[T]]:
    """Chunks of `k` labels in order. A rest of at least half of `k` stands alone, a smaller one joins the last chunk.

    `k` = -1 gives one chunk. `k` is not a maximum: a chunk holds up to `k + k // 2 - 1` labels.
    """
    if k == 0 or k < -1:
        raise BadInput(f"split_num is {k}; use a positive number of labels, or -1 for no splitting.")
    if k == -1 or len(labels) < k:
        return [labels]
    starts = list(range(0, len(labels) - len(labels) % k, k))
    rest = len(labels) % k
    if rest >= max(1, k // 2):
        starts.append(len(labels) - rest)
    return [labels[start:end] for start, end in zip(starts, [*starts[1:], len(labels)], strict=True)]
