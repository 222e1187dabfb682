"""Two prediction files over the same documents: which is better, and whether that is more than luck."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sluice_worker.evaluation.counting import Counts
from sluice_worker.evaluation.predictions import Predictions
from sluice_worker.evaluation.resample import Difference, difference
from sluice_worker.protocol.records import Record


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences` by level, over `documents` that both files have with the same gold.

    `only_here` and `only_there` documents are in one file alone; `other_gold` are in both, but their gold differs.
    Neither are compared.
    """

    documents: int
    only_here: int
    only_there: int
    other_gold: int
    differences: dict[str, Difference]


def compare(here: Predictions, there: Predictions, *, counts: Counts, others: Counts) -> Comparison:
    """Compares two files of one task, counted by the same rules."""
    shared = [key for key in here.documents if key in there.documents]
    agreed = [key for key in shared if _is_same(here.documents[key].gold, there.documents[key].gold)]
    places = {key: index for index, key in enumerate(here.documents)}
    other_places = {key: index for index, key in enumerate(there.documents)}
    return Comparison(
        documents=len(agreed),
        only_here=len(here.documents) - len(shared),
        only_there=len(there.documents) - len(shared),
        other_gold=len(shared) - len(agreed),
        differences={
            level: difference(
                [counts[level].rows[places[key]] for key in agreed],
                [others[level].rows[other_places[key]] for key in agreed],
            )
            for level in counts
        },
    )


def _is_same(gold: Sequence[Record], other: Sequence[Record]) -> bool:
    return gold == other or Counter(gold) == Counter(other)
