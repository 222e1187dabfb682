"""Where values mostly begin and end: between words in scripts that put spaces between them, anywhere in the others."""


def is_inside_word(text: str, position: int) -> bool:
    """Whether a cut at `position` would part the letters or digits of one word."""
    return 0 < position < len(text) and _is_spaced(text[position - 1]) and _is_spaced(text[position])


def _is_spaced(char: str) -> bool:
    """Whether `char` is of a script that puts spaces between its words (letters and digits up to Georgian's block
    and of the extensions of Latin and Greek, full-width ones included)."""
    return char.isalnum() and (char < "\u0e00" or "\u1e00" <= char <= "\u1fff" or "\uff10" <= char <= "\uff5a")
