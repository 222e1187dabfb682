"""One target under atheris, in a process of its own: `python -m fuzz.one TARGET [libFuzzer's options]`.

atheris counts the branches of our modules, of PyYAML and of kombu, and keeps each input that reaches a new one. Half of
the changes are libFuzzer's own, the others those of `mutations`.
"""

import logging
import sys
from random import Random

import atheris
import structlog

with atheris.instrument_imports(include=["sluice_schemas", "sluice_producer", "sluice_worker", "yaml", "kombu"]):
    from fuzz.mutations import mutated
    from fuzz.targets import TARGETS


def change(raw: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's hook: another input from one that it kept."""
    random = Random(seed)
    if random.random() < 0.5:
        return bytes(atheris.Mutate(raw, max_size))
    return mutated(raw, random)[:max_size]


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target.feed, custom_mutator=change)
    atheris.Fuzz()
