"""All matrices at once give what torch's own Muon gives one by one."""

from collections.abc import Callable

import pytest
import torch

from sluice_worker.training.muon import Muon, orthogonal

SHAPES = [(24, 24), (24, 24), (64, 24), (24, 64)]


def run(kind: Callable[..., torch.optim.Optimizer], *, steps: int, **options: float) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    matrices = [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES]
    optimizer = kind(matrices, lr=0.1, **options)
    for _ in range(steps):
        for each in matrices:
            each.grad = torch.randn(each.shape, generator=draw)
        optimizer.step()
    return [each.detach() for each in matrices]


@pytest.mark.parametrize(
    "options", [{"weight_decay": 0.0}, {"weight_decay": 0.1}, {"weight_decay": 0.0, "momentum": 0.5}]
)
def test_it_steps_as_torchs_own(options: dict[str, float]) -> None:
    ours, theirs = run(Muon, steps=4, **options), run(torch.optim.Muon, steps=4, **options)
    for mine, other in zip(ours, theirs, strict=True):
        # torch's iteration runs in bfloat16, which has 8 bits.
        assert (mine - other).norm() / other.norm() < 0.01


def test_a_matrix_without_a_gradient_stays() -> None:
    held, moved = (torch.nn.Parameter(torch.ones(8, 8)) for _ in range(2))
    moved.grad = torch.eye(8)
    Muon([held, moved], lr=0.1).step()
    assert torch.equal(held, torch.ones(8, 8))
    assert not torch.equal(moved, torch.ones(8, 8))


def test_updates_have_singular_values_near_one() -> None:
    made = orthogonal(torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(1))).float()
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.6
    assert values.max() < 1.3
