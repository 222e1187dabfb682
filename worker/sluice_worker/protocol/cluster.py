"""Which code points belong together as one character a reader sees: a cut between them would break it."""

import unicodedata

_JOINER = "\u200d"
MAX_CLUSTER = 32
"""Longer clusters are no writing but stacked marks, and may be cut (compare UAX #15, stream-safe text: 30 marks)."""


def joins(text: str, position: int) -> bool:
    """Whether the code points before and at `position` stand in one cluster. An approximation of UAX #29."""
    if not 0 < position < len(text):
        return False
    before, char = text[position - 1], text[position]
    if char < "\u0300":
        return before == _JOINER or (before == "\r" and char == "\n")
    return before == _JOINER or extends(char)


def extends(char: str) -> bool:
    """Whether `char` belongs to the one before it: marks, joiners, skin tones, tags, Hangul vowels and finals."""
    if char < "\u0300":
        return False
    return (
        char == _JOINER
        or unicodedata.category(char)[0] == "M"
        or "\u1160" <= char <= "\u11ff"
        or char in "\uff9e\uff9f"  # half-width voicing marks of kana
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def end_of(text: str, start: int) -> int:
    """Where the cluster that begins at `start` ends, or is cut."""
    end = start + 1
    while end - start < MAX_CLUSTER and joins(text, end):
        end += 1
    return end
