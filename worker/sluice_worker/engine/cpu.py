"""How torch's libraries use a CPU that also does other work. They read these once, when they are loaded."""

import os

PRIMITIVES = "32"
"""Matrix shapes of which oneDNN keeps its compiled code; a thousand by default, and batches have many shapes."""


def behave() -> None:
    """Call it before torch is imported; what is set in the environment already stays.

    OpenMP's threads spin while they wait. On a machine with other work each of the thousand small steps of an answer
    then waits for a core that only spins: 120 answers of the shipped model took 127 s so, and 10 s with passive waits
    (two busy cores). oneDNN's cache grew by some 200 MB over 40,000 requests; with 32 entries it was no slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRIMITIVES)
