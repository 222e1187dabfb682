"""Muon for all matrices of a model at once.

`torch.optim.Muon` takes one matrix after the other, always in bfloat16. On a GPU its 1,700 small kernels a step would
take longer than the small model's own work, and on a CPU without bfloat16 instructions one step took a minute.
"""

import math
from collections.abc import Iterable

import torch

from sluice_worker.engine.device import number_format

STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315
"""Coefficients of the quintic Newton-Schulz iteration (Jordan et al. 2024, "Muon")."""
EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, with Nesterov's look ahead and decoupled weight decay.

    It gives what `torch.optim.Muon` gives with its own defaults. Every parameter must be a matrix.
    """

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.Tensor]] = {}
            for each in group["params"]:
                if each.grad is not None:
                    alike.setdefault(each.shape, []).append(each)
            for shape, matrices in alike.items():
                updates = orthogonal(torch.stack(self._momentum(matrices, group["momentum"])))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                scale = math.sqrt(max(1.0, shape[0] / shape[1]))
                torch._foreach_add_(matrices, [*updates.to(matrices[0].dtype)], alpha=-group["lr"] * scale)

    def _momentum(self, matrices: list[torch.Tensor], momentum: float) -> list[torch.Tensor]:
        grads = [each.grad for each in matrices if each.grad is not None]
        for each in matrices:
            if not self.state[each]:
                self.state[each]["momentum_buffer"] = torch.zeros_like(each)
        held = [self.state[each]["momentum_buffer"] for each in matrices]
        torch._foreach_lerp_(held, grads, 1 - momentum)
        return list(torch._foreach_lerp(grads, held, momentum))


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """For each matrix of the stack [n, rows, columns] roughly the nearest one with orthogonal rows or columns."""
    given: torch.Tensor = matrices.to(getattr(torch, number_format(matrices.device.type)))
    is_tall = given.shape[-2] > given.shape[-1]
    x: torch.Tensor = given.mT if is_tall else given
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=EPSILON)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x.mT if is_tall else x
