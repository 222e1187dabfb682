"""Offsets in UTF-16 units, as programs in JavaScript give them: what is beyond U+FFFF (emoji, rare Han) counts two."""

from sluice_schemas.extraction import Span


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
