"""The labels that a run works with, written down once: what is trained on and judged by can be looked up for ever."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from sluice_schemas.errors import BadInput
from sluice_schemas.label import Label
from sluice_schemas.whole_file import whole_file

Share = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One label of a snapshot. `number` is its id in the label store; it grows with time."""

    number: int
    share: Share
    label: Label


@dataclass(frozen=True, slots=True)
class Written:
    """`digest` is the SHA-256 of the file: equal digest, equal labels. `counts` are by schema and share."""

    digest: str
    counts: dict[str, dict[str, int]]

    def total(self, share: Share) -> int:
        return sum(each.get(share, 0) for each in self.counts.values())


def write(path: Path, samples: Iterable[Sample]) -> Written:
    """Writes the file whole, one label a line in the order given."""
    digest, counts = hashlib.sha256(), Counter[tuple[str, str]]()
    with whole_file(path) as file:
        for sample in samples:
            fields = {"number": sample.number, "share": sample.share, "label": orjson.Fragment(sample.label.encode())}
            line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
            digest.update(line)
            counts[sample.label.schema_ref, sample.share] += 1
            file.write(line)
    refs = dict.fromkeys(ref for ref, _ in counts)
    return Written(digest.hexdigest(), {ref: {s: n for (r, s), n in counts.items() if r == ref} for ref in refs})


def read(path: Path, *shares: Share) -> Iterator[Sample]:
    """The labels of these shares, in the file's order. Raises `BadInput` for a file that is no snapshot."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                fields = orjson.loads(line)
                if fields["share"] in shares:
                    yield Sample(fields["number"], fields["share"], Label.of(fields["label"]))
            except (orjson.JSONDecodeError, KeyError, TypeError, BadInput) as exc:
                raise BadInput(f"{path}, line {number} is no label of a snapshot; begin a new run.") from exc
