"""Which device this process serves on: one, or none at all."""

import torch

from sluice_schemas.errors import Misconfigured


def choose(wanted: str, *, count: int = 1) -> str:
    """`cpu` or `cuda`. Raises `Misconfigured` when the process needs GPUs and sees none, or other than `count`."""
    seen = torch.cuda.device_count()
    if wanted == "cpu" or (wanted == "auto" and seen == 0):
        return "cpu"
    if seen == 0:
        raise Misconfigured("SLUICE_DEVICE is cuda, but torch sees no GPU. Check the driver, or set it to cpu.")
    if seen != count:
        raise Misconfigured(
            f"This process sees {seen} GPUs and serves on {count}. Set CUDA_VISIBLE_DEVICES to the indices of its own."
        )
    return "cuda"
