"""The one way bytes are written and read between Sluice's processes."""

from typing import Any, ClassVar, Self

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from sluice_schemas.errors import BadInput, UnknownVersion


class Strict(BaseModel):
    """A part of a message: immutable, and a field nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Wire(Strict):
    """A whole message. It is written as JSON with its format version in `v`."""

    format_version: ClassVar[int] = 1

    def encode(self) -> bytes:
        """UTF-8 JSON, fields in the order of the class, defaults left out."""
        fields = self.model_dump(mode="json", exclude_defaults=True)
        return orjson.dumps({"v": self.format_version, **fields})

    @classmethod
    def decode(cls, raw: bytes | str) -> Self:
        """Reads what `encode` wrote. Raises `UnknownVersion` or `BadInput`."""
        try:
            fields = orjson.loads(raw)
        except orjson.JSONDecodeError as exc:
            raise BadInput(f"This is not JSON: {exc}.") from exc
        return cls.of(fields)

    @classmethod
    def of(cls, fields: Any) -> Self:
        """Builds a message from parsed JSON; `v` may be missing, as people do not write it."""
        if not isinstance(fields, dict):
            raise BadInput(f"A {cls.__name__} is a JSON object, not {type(fields).__name__}.")
        fields = dict(fields)
        version = fields.pop("v", cls.format_version)
        if version != cls.format_version:
            raise UnknownVersion(
                f"This {cls.__name__} has format version {version!r}; this release reads {cls.format_version}. "
                "Upgrade the side that reads it."
            )
        try:
            return cls.model_validate(fields)
        except ValidationError as exc:
            raise BadInput(describe(exc, cls.__name__)) from exc


def describe(error: ValidationError, name: str) -> str:
    """One sentence a person can act on, without the rejected values: they may be document text."""
    faults = [f"{'.'.join(map(str, fault['loc'])) or name}: {fault['msg']}" for fault in error.errors()]
    return f"This {name} is not valid. " + "; ".join(faults[:5]) + (" ..." if len(faults) > 5 else "")
