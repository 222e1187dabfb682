"""What a service hands in: a text, and what it knows about it."""

import unicodedata
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from sluice_schemas.wire import Count, Wire, json_bytes

MAX_TEXT_BYTES = 4 * 1024 * 1024
MAX_METADATA_BYTES = 16 * 1024

Language = Literal["zh", "en"]
DocumentId = Annotated[str, Field(min_length=1, max_length=200)]


class Document(Wire):
    """A text with an id of the caller's. Offsets in results count its Unicode code points, as given here.

    `version` grows with each new version of the document; what came of an older one no longer stands. `metadata` and
    `source` are kept and returned untouched; the model never sees them.
    """

    id: DocumentId
    version: Count = 0
    text: str
    language: Literal["zh", "en", "auto"] = "auto"
    metadata: dict[str, JsonValue] = Field(default={})
    source: str | None = Field(default=None, max_length=2000)

    @field_validator("text", mode="before")
    @classmethod
    def _readable(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        if not any(is_visible(char) for char in text):
            raise ValueError("the text is empty; submit a text with at least one visible character")
        if "\x00" in text:
            raise ValueError("the text holds a NUL character; remove it or decode the file properly")
        try:
            size_bytes = len(text.encode())
        except UnicodeEncodeError as exc:
            raise ValueError(f"the text holds a lone surrogate at character {exc.start}; decode it as UTF-8") from exc
        if size_bytes > MAX_TEXT_BYTES:
            raise ValueError(f"the text has {size_bytes} bytes, the limit is {MAX_TEXT_BYTES}; submit it in parts")
        return text

    @field_validator("metadata")
    @classmethod
    def _small(cls, metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
        size_bytes = len(json_bytes(metadata))
        if size_bytes > MAX_METADATA_BYTES:
            raise ValueError(f"metadata has {size_bytes} bytes, the limit is {MAX_METADATA_BYTES}; keep a reference")
        return metadata


def is_visible(char: str) -> bool:
    """Whether a reader would see it; spaces, zero-width and control characters are not seen."""
    return not char.isspace() and unicodedata.category(char) not in ("Cc", "Cf")
