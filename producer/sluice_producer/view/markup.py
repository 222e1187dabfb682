"""Document text is hostile: everything that enters the page comes through here."""

from html import escape

from sluice_producer.view.segments import Segment
from sluice_schemas.extraction import Span


def safe(text: str) -> str:
    """`text` as HTML, for content and for attributes in double quotes.

    A parser turns a bare carriage return into a line feed, and drops or replaces NUL; the reader gets the first as it
    is, and for the second its symbol, which keeps the count of code points.
    """
    return escape(text).replace("\r", "&#13;").replace("\x00", "\N{SYMBOL FOR NULL}")


def attributes(**values: str | None) -> str:
    """` name="value"` for each that is not None; `data_m` is written `data-m`, and `class_` as `class`."""
    named = ((name.rstrip("_").replace("_", "-"), value) for name, value in values.items())
    return "".join(f' {name}="{safe(value)}"' for name, value in named if value is not None)


def place(span: Span) -> str:
    """A span as people write it, half-open."""
    return f"[{span.start}, {span.end})"


def depths(pieces: list[Segment], count: int) -> list[int]:
    """How many spans stand inside each of the `count` spans, one in another."""
    deepest = [0] * count
    for piece in pieces:
        for inside, index in enumerate(reversed(piece.cover)):
            deepest[index] = max(deepest[index], inside)
    return deepest
