"""Which device this process serves on, one or none at all, and in which numbers it calculates there."""

from typing import Literal

import torch

from sluice_schemas.errors import Misconfigured

NumberFormat = Literal["bfloat16", "float32"]


def choose(wanted: str, *, count: int = 1) -> str:
    """`cpu` or `cuda`. Raises `Misconfigured` when the process needs GPUs and sees none, or other than `count`."""
    return chosen(wanted, seen=torch.cuda.device_count(), count=count)


def chosen(wanted: str, *, seen: int, count: int) -> str:
    """`choose` for a process that sees so many GPUs."""
    if wanted == "cpu" or (wanted == "auto" and seen == 0):
        return "cpu"
    if seen == 0:
        raise Misconfigured("SLUICE_DEVICE is cuda, but torch sees no GPU. Check the driver, or set it to cpu.")
    if seen != count:
        raise Misconfigured(
            f"This process sees {seen} GPUs and serves on {count}: set CUDA_VISIBLE_DEVICES to the indices of its own, "
            "or SLUICE_TENSOR_PARALLEL to how many one engine shall use."
        )
    return "cuda"


def number_format(device: str, wanted: str = "auto") -> NumberFormat:
    """What `auto` means on a device; other formats are refused with `Misconfigured`.

    It is bfloat16, as the models are tuned in, but float32 on a CPU that oneDNN knows no fast bfloat16 products for:
    torch falls back to plain loops there, at a tenth of float32's rate (a layer of the shipped model, AVX2, 2 cores).
    float32 holds every bfloat16 value.
    """
    if wanted == "bfloat16":
        return "bfloat16"
    if wanted == "float32":
        return "float32"
    if wanted != "auto":
        raise Misconfigured(f"dtype {wanted} is refused: the model was tuned in bfloat16 and breaks in float16.")
    is_slow = device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "float32" if is_slow else "bfloat16"
