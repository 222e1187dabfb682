"""Where a value may begin and end: between words in scripts that put spaces between them, anywhere in the others."""

from collections.abc import Iterator

from sluice_worker.protocol.cluster import joins


def is_inside_word(text: str, position: int) -> bool:
    """Whether a cut at `position` would part the letters or digits of one word."""
    return 0 < position < len(text) and _is_spaced(text[position - 1]) and _is_spaced(text[position])


def words(text: str) -> Iterator[str]:
    """The text in its smallest pieces that a value may be made of: whole words, and single characters of the rest."""
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or not (is_inside_word(text, position) or joins(text, position)):
            yield text[start:position]
            start = position


def _is_spaced(char: str) -> bool:
    """Whether `char` is of a script that puts spaces between its words (letters and digits up to Georgian's block
    and of the extensions of Latin and Greek, full-width ones included)."""
    return char.isalnum() and (char < "\u0e00" or "\u1e00" <= char <= "\u1fff" or "\uff10" <= char <= "\uff5a")
