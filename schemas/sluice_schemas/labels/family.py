"""Which texts are the same to a model: a normal form of each, and a sketch by which those nearly equal are found."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from datasketch import MinHash

BANDS, ROWS = 21, 6
"""Two texts have a band in common with probability 1 - (1 - s^ROWS)^BANDS, s being the share of shingles that they have
in common: 0.998 for s = 0.8, 0.015 for s = 0.3 (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4)."""
NEAR = 0.8
"""From this share of common shingles on (by Jaccard, as the signatures estimate it) two texts are of one family."""
LONG, SHORT = 5, 3
"""Characters of a shingle: about a word. Han, kana and hangul say as much in three."""
DENSE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]")
DIGITS = re.compile(r"\d+")
AT_ONCE = 4096
"""Shingles sketched at once: each takes a row of all permutations in memory."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """A normal form by its digest, its signature, and the bands that it shares with texts that are nearly equal."""

    digest: str
    signature: bytes
    bands: tuple[str, ...]


def normal_form(text: str) -> str:
    """Width, case, white space and numbers do not tell two texts apart: a form letter with another date is the same."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return DIGITS.sub("0", " ".join(folded.split()))


def sketch(text: str) -> Sketch:
    """The same for the same text, on every machine, for ever: what is stored is compared with what is sketched."""
    form = normal_form(text)
    # Both are the defaults of datasketch 2, named because other ones would not compare with what is stored.
    hashed = MinHash(num_perm=BANDS * ROWS, seed=1, scheme="affine32")
    rest = iter(_shingles(form))
    while some := [each.encode() for each in islice(rest, AT_ONCE)]:
        hashed.update_batch(some)
    signature = np.asarray(hashed.hashvalues, dtype="<u4").tobytes()
    return Sketch(hashlib.sha256(form.encode()).hexdigest(), signature, tuple(_bands(signature)))


def similarity(one: bytes, other: bytes) -> float:
    """The share of common shingles of two texts, estimated from their signatures; its deviation is 0.036 at 0.8."""
    return float(np.mean(np.frombuffer(one, "<u4") == np.frombuffer(other, "<u4")))


def _shingles(form: str) -> Collection[str]:
    size = SHORT if 2 * len(DENSE.findall(form)) > len(form) else LONG
    return dict.fromkeys(form[at : at + size] for at in range(max(1, len(form) - size + 1)))


def _bands(signature: bytes) -> Iterator[str]:
    width = 4 * ROWS
    for number in range(BANDS):
        part = signature[number * width : (number + 1) * width]
        yield f"{number:02d}{hashlib.blake2b(part, digest_size=8).hexdigest()}"
