"""A form of a text in which spellings of the same value are equal, with the way back to the text's code points."""

import re
import unicodedata
from array import array
from dataclasses import dataclass

from sluice_worker.protocol.cluster import end_of, extends

# Runs of characters that are their own normal form but for ASCII capitals, and single spaces between them: what most
# text is made of.
_CHARACTERS = r"[!-_a-~\u3001-\u3002\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]+"
_PLAIN = re.compile(f"{_CHARACTERS}(?: {_CHARACTERS})*")
_SPACE = re.compile(r"\s+")
_VARIANTS = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′‵`´＇", "'"),
        **dict.fromkeys("“”„‟″‶«»「」『』〝〞＂", '"'),
        **dict.fromkeys("‐‑‒–—―−﹣－⁃", "-"),
    }
)


@dataclass(frozen=True, slots=True)
class Normal:
    """`text` in normal form. `starts[i]` is where the character that gave `text[i]` starts in the original."""

    text: str
    starts: "array[int]"
    size: int
    has_clusters: bool

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """The original [start, end) of a range of the normal form; None when it would cut a character in two."""
        stop = self.size if end == len(self.text) else self.starts[end]
        is_cut = stop == self.starts[end - 1] or (start > 0 and self.starts[start] == self.starts[start - 1])
        return None if is_cut else (self.starts[start], stop)


def normal(text: str) -> Normal:
    """NFKC and case folding by character, white space runs as one space, one form of quotes and of dashes.

    Nothing is taken away. Characters are folded one cluster at a time, so a part of a text has the same normal form by
    itself as inside the text.
    """
    parts: list[str] = []
    starts = array("l")
    folds: dict[str, str] = {}
    has_clusters = False
    position = 0
    while position < len(text):
        if run := _PLAIN.match(text, position):
            end = run.end() - (run.end() < len(text) and extends(text[run.end()]))
            if end > position:
                parts.append(text[position:end].lower())
                starts.extend(range(position, end))
                position = end
                continue
        space = _SPACE.match(text, position)
        end = space.end() if space else end_of(text, position)
        cluster = text[position:end]
        folded = " " if space else folds.get(cluster) or folds.setdefault(cluster, _folded(cluster))
        has_clusters = has_clusters or (not space and len(cluster) > 1)
        parts.append(folded)
        starts.extend([position] * len(folded))
        position = end
    return Normal("".join(parts), starts, len(text), has_clusters)


def _folded(cluster: str) -> str:
    return unicodedata.normalize("NFKC", cluster.translate(_VARIANTS)).casefold().translate(_VARIANTS) or cluster
