"""A process serves on exactly the GPUs that it is told, or on none."""

import pytest

from sluice_schemas.errors import Misconfigured
from sluice_worker.engine.device import chosen

CHOSEN = [
    # wanted, GPUs seen, GPUs to serve on; the device
    ("auto", 0, 1, "cpu"),
    ("auto", 1, 1, "cuda"),
    ("auto", 4, 4, "cuda"),
    ("cuda", 1, 1, "cuda"),
    ("cpu", 0, 1, "cpu"),
    # it leaves them alone
    ("cpu", 8, 1, "cpu"),
]


@pytest.mark.parametrize(("wanted", "seen", "count", "device"), CHOSEN)
def test_chosen(wanted: str, seen: int, count: int, device: str) -> None:
    assert chosen(wanted, seen=seen, count=count) == device


REFUSED = [
    # wanted, GPUs seen, GPUs to serve on; what is said
    ("cuda", 0, 1, "torch sees no GPU"),
    ("auto", 2, 1, "sees 2 GPUs and serves on 1: set CUDA_VISIBLE_DEVICES"),
    ("cuda", 8, 1, "sees 8 GPUs and serves on 1"),
    ("auto", 1, 2, "sees 1 GPUs and serves on 2"),
    ("cuda", 4, 2, "or SLUICE_TENSOR_PARALLEL to how many"),
]


@pytest.mark.parametrize(("wanted", "seen", "count", "said"), REFUSED)
def test_other_than_the_wanted_number_is_refused(wanted: str, seen: int, count: int, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        chosen(wanted, seen=seen, count=count)
