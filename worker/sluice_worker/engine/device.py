"""Which device this process serves on: one, or none at all."""

import torch

from sluice_schemas.errors import Misconfigured


def choose(wanted: str) -> str:
    """`cpu` or `cuda`. Raises `Misconfigured` when the process sees no GPU but needs one, or sees several."""
    count = torch.cuda.device_count()
    if wanted == "cpu" or (wanted == "auto" and count == 0):
        return "cpu"
    if count == 0:
        raise Misconfigured("SLUICE_DEVICE is cuda, but torch sees no GPU. Check the driver, or set it to cpu.")
    if count > 1:
        raise Misconfigured(
            f"This process sees {count} GPUs; a worker serves on exactly one. Set CUDA_VISIBLE_DEVICES to one index."
        )
    return "cuda"
