"""The one way bytes are written and read between Sluice's processes."""

from typing import Annotated, Any, ClassVar, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sluice_schemas.errors import BadInput, UnknownVersion

Count = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]
"""A whole number that JSON carries between any two programs of ours."""


class Strict(BaseModel):
    """A part of a message: immutable, a field nobody knows is an error, and so is what JSON cannot carry.

    The empty length limit makes pydantic look into each string: without it lone surrogates pass, and fail in `encode`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, str_min_length=0
    )


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
        return cls.of(parsed(raw))

    @classmethod
    def of(cls, fields: Any) -> Self:
        """Builds a message from parsed JSON; `v` may be missing, as people do not write it."""
        if not isinstance(fields, dict):
            raise BadInput(f"The {cls.__name__} must be a JSON object, not {type(fields).__name__}.")
        fields = dict(fields)
        cls._check_version(fields.pop("v", cls.format_version))
        try:
            return cls.model_validate(fields)
        except ValidationError as exc:
            raise BadInput(describe(exc, cls.__name__)) from exc

    @classmethod
    def _check_version(cls, version: object) -> None:
        if type(version) is not int:  # True == 1.0 == 1, and a text here may be anything
            raise UnknownVersion(
                f"The format version `v` of this {cls.__name__} is a {type(version).__name__}, not a whole number; "
                f"write {cls.format_version}, or leave it out."
            )
        if version != cls.format_version:
            raise UnknownVersion(
                f"This {cls.__name__} has format version {version}; this release reads {cls.format_version}. "
                "Upgrade the side that reads it."
            )


def parsed(raw: bytes | str) -> Any:
    """What the JSON says. Raises `BadInput`."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"This is not JSON: {exc}.") from exc


def json_bytes(value: object) -> bytes:
    """The JSON of `value`. Raises `ValueError`, which pydantic reports, when a message cannot carry it.

    orjson writes 254 levels, and messages hold a value some levels deep: eight are kept for them.
    """
    try:
        return orjson.dumps([[[[[[[[value]]]]]]]])[8:-8]
    except TypeError as exc:
        raise ValueError(f"cannot be written as JSON: {exc}") from exc


def describe(error: ValidationError, name: str) -> str:
    """One sentence a person can act on, without the rejected values: they may be document text."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    faults = [f"{_place(fault['loc']) or name}: {fault['msg']}" for fault in found]
    return f"This {name} is not valid. " + "; ".join(faults[:5]) + (" ..." if len(faults) > 5 else "")


def _place(loc: tuple[int | str, ...]) -> str:
    place = ".".join(map(str, loc))
    return place if len(place) <= 80 else place[:79] + "…"
