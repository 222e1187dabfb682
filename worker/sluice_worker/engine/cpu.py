"""How torch's libraries use a CPU that also does other work, and its memory."""

import ctypes
import os
import platform

PRIMITIVES = "32"
"""Matrix shapes of which oneDNN keeps its compiled code; a thousand by default, and batches have many shapes."""

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of mallopt(3)."""


def behave() -> None:
    """Call it before torch is imported, for it reads these then; what is set in the environment already stays.

    OpenMP's threads spin while they wait. On a machine with other work each of the thousand small steps of an answer
    then waits for a core that only spins: 120 answers of the shipped model took 127 s so, and 10 s with passive waits
    (two busy cores). oneDNN's cache grew by some 200 MB over 40,000 requests; with 32 entries it was no slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)


def keep_memory() -> None:
    """For trainings: lets glibc keep what it frees instead of asking the kernel for fresh pages at every step.

    A step of a tuning of the shipped model took 845 tokens/s of one core without, and 1,020 with.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**28)):
            mallopt(parameter, value)
