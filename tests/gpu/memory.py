"""How much memory a part of the run takes: the device's, or on a CPU that of its processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch


def used_bytes(device: str) -> int:
    """What is taken on the device by whomever; on a CPU the peaks of this process group together (Linux)."""
    if torch.device(device).type == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total - free
    return sum(_peak_bytes(process) for process in _group())


def _group() -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == os.getpgrp():
                yield process
        except ProcessLookupError:
            continue


def _peak_bytes(process: Path) -> int:
    try:
        lines = (process / "status").read_text().splitlines()
    except FileNotFoundError:  # it has ended since
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
