"""What to extract: an extraction schema, published once under `id@version` and never changed after."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal, Self

import orjson
from pydantic import AfterValidator, Field, JsonValue, field_validator, model_validator

from sluice_schemas.document import Language
from sluice_schemas.job import EndpointName
from sluice_schemas.wire import Strict, Wire, json_bytes

Task = Literal["NER", "RE", "SPO", "EE", "EET", "EEA", "KG"]
Decoding = Literal["free", "json", "grounded"]

MAX_TYPES = 200
MAX_VERSION = 1_000_000
MAX_SCHEMA_BYTES = 1024 * 1024
SPLIT_NUM: dict[Task, int] = {"NER": 6, "RE": 4, "SPO": 4, "EE": 4, "EET": 4, "EEA": 4, "KG": 1}
"""Labels asked at once, as OneKE was trained (its README, section on conversion)."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _tidy(name: str) -> str:
    """Two names that look alike would be two labels to the model, and one to a reader."""
    if name != name.strip() or CONTROL.search(name):
        raise ValueError("a name has no spaces around it, no line break and no control character; remove them")
    return name


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_tidy)]
Description = Annotated[str, Field(max_length=1000)]
REF = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*@[1-9][0-9]*")


class Part(Strict):
    """A role of an event type, or an attribute of an entity type."""

    name: Name
    description: Description = ""


class Type(Strict):
    """One thing to look for.

    NER: an entity type. RE: a relation. SPO: a predicate with both its entity types.
    EE, EET, EEA: an event type with its roles. KG: an entity type with its attributes.
    """

    name: Name
    description: Description = ""
    roles: tuple[Part, ...] = ()
    attributes: tuple[Part, ...] = ()
    subject_type: Name | None = None
    object_type: Name | None = None

    @property
    def label(self) -> str:
        """What tells it from the other types of its schema; for SPO the typed triple of protocol section 1."""
        return f"{self.subject_type}_{self.name}_{self.object_type}" if self.subject_type else self.name


class Example(Strict):
    """A worked example that goes into the instruction: `output` has the task's answer form."""

    input: str
    output: dict[str, JsonValue]

    @field_validator("output")
    @classmethod
    def _storable(cls, output: dict[str, JsonValue]) -> dict[str, JsonValue]:
        json_bytes(output)
        return output


class ExtractionSchema(Wire):
    """An extraction schema. `ref` names it for ever; other content needs a new version.

    `decoding` holds answers to a level: `free`, `json` (always parses) or `grounded` (and every value is a piece of the
    text). None takes the level at which the serving model does best.

    `endpoints` get the results of all its jobs, besides those that a job names itself.

    `flat` says that entities do not overlap: of those that do the surest is kept, the others are listed as problems.
    """

    id: Name
    version: int = Field(ge=1, le=MAX_VERSION, strict=True)
    task: Task
    language: Language
    title: str = ""
    description: Description = ""
    types: tuple[Type, ...]
    examples: tuple[Example, ...] = ()
    split_num: int | None = Field(default=None, ge=-1, le=MAX_TYPES, strict=True)
    describe_types: bool = False
    decoding: Decoding | None = None
    flat: bool = Field(default=False, strict=True)
    endpoints: tuple[EndpointName, ...] = Field(default=(), max_length=4)

    @property
    def ref(self) -> str:
        return f"{self.id}@{self.version}"

    @property
    def digest(self) -> str:
        """SHA-256 of the content, `id` and `version` included: equal digest, equal schema."""
        content = orjson.dumps(self.model_dump(mode="json", exclude_defaults=True), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).hexdigest()

    @property
    def labels_per_request(self) -> int:
        """The `k` of protocol section 5; -1 asks for everything at once."""
        return SPLIT_NUM[self.task] if self.split_num is None else self.split_num

    @field_validator("split_num")
    @classmethod
    def _not_zero(cls, split_num: int | None) -> int | None:
        if split_num == 0:
            raise ValueError("0 labels a request is no request; use a positive number, or -1 for no splitting")
        return split_num

    @model_validator(mode="after")
    def _sound(self) -> Self:
        faults = [*self._faults()]
        if faults:
            raise ValueError("; ".join(faults[:5]))
        return self

    def _faults(self) -> Iterator[str]:
        if not REF.fullmatch(self.ref):
            yield f"id {self.id!r} must be lower-case words of a-z 0-9 . _ - joined by '/', such as 'news/entities'"
        if not self.types:
            yield "types is empty; name at least one type to look for"
        if (size := len(self.encode())) > MAX_SCHEMA_BYTES:
            yield f"{size} bytes in all, the limit is {MAX_SCHEMA_BYTES}; shorten descriptions and examples"
        if len(self.types) > MAX_TYPES:
            yield f"{len(self.types)} types, the limit is {MAX_TYPES}; publish several schemas"
        if self.flat and self.task != "NER":
            yield f"flat is for entities, this is {self.task}; leave it out"
        yield from duplicates("type", [each.label for each in self.types])
        for each in self.types:
            yield from self._faults_of(each)

    def _faults_of(self, each: Type) -> Iterator[str]:
        yield from duplicates(f"role of {each.name!r}", [part.name for part in each.roles])
        yield from duplicates(f"attribute of {each.name!r}", [part.name for part in each.attributes])
        if (each.subject_type is None) != (each.object_type is None) or (self.task == "SPO") != bool(each.subject_type):
            yield f"{each.name!r}: SPO, and only SPO, needs both subject_type and object_type"
        if each.roles and self.task not in ("EE", "EEA", "EET"):
            yield f"{each.name!r}: roles belong to event tasks, this is {self.task}"
        if bool(each.attributes) != (self.task == "KG"):
            yield f"{each.name!r}: KG, and only KG, needs attributes"


def duplicates(what: str, names: list[str]) -> Iterator[str]:
    """A sentence for each name that stands twice."""
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{what} {name!r} stands twice; keep one"
