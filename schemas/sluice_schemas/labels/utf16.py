"""Offsets as JavaScript counts them, in UTF-16 code units: what is beyond U+FFFF (emoji, rare Han) counts two."""

from sluice_schemas.extraction import Span


def to_units(text: str, span: Span) -> Span:
    """From code points."""
    start = _units(text[: span.start])
    return Span(start=start, end=start + _units(text[span.start : span.end]))


def from_units(text: str, span: Span) -> Span | None:
    """To code points; None where it would cut a character in two, or lies outside the text."""
    encoded = text.encode("utf-16-le")
    if 2 * span.end > len(encoded):
        return None
    try:
        start = len(encoded[: 2 * span.start].decode("utf-16-le"))
        return Span(start=start, end=start + len(encoded[2 * span.start : 2 * span.end].decode("utf-16-le")))
    except UnicodeDecodeError:
        return None


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)
