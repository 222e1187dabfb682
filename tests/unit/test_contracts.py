"""What crosses a boundary: it comes back as it went, and what is wrong is refused with a sentence one can act on."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_schemas import errors
from sluice_schemas.document import MAX_METADATA_BYTES, MAX_TEXT_BYTES, Document
from sluice_schemas.endpoint import Endpoint
from sluice_schemas.errors import BadInput, SluiceError, UnknownVersion
from sluice_schemas.event import Event, EventBatch, Notice
from sluice_schemas.extraction import Extraction, Mention, Span, Usage
from sluice_schemas.job import TERMINAL, Job, Order
from sluice_schemas.label import Label
from sluice_schemas.ledger import keys
from sluice_schemas.schema import MAX_SCHEMA_BYTES, ExtractionSchema
from sluice_schemas.wire import Wire, parsed

SAVED = Path(__file__).parents[1] / "messages" / "v1"
KINDS: dict[str, type[Wire]] = {
    "document": Document,
    "schema": ExtractionSchema,
    "order": Order,
    "job": Job,
    "extraction": Extraction,
    "label": Label,
    "event": Event,
    "batch": EventBatch,
    "notice": Notice,
    "endpoint": Endpoint,
}
DOCUMENT: dict[str, Any] = {"id": "a", "text": "b"}
SCHEMA: dict[str, Any] = {"id": "n/x", "version": 1, "task": "NER", "language": "en", "types": [{"name": "person"}]}
EXTRACTION: dict[str, Any] = {
    "job_id": "1",
    "document_id": "a",
    "schema_ref": "n/x@1",
    "task": "NER",
    "language": "en",
    "model": "m",
}
JOB: dict[str, Any] = {
    "id": "1",
    "state": "succeeded",
    "document_id": "a",
    "schema_ref": "n/x@1",
    "priority": "bulk",
    "accepted_at": 0.5,
}
EVENT: dict[str, Any] = {"type": "extraction.completed", "timestamp": "2024-01-01T00:00:00Z", "job": JOB}


def nested(levels: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return inner


# Messages that a release has written


@pytest.mark.parametrize("path", sorted(SAVED.glob("*.json")), ids=lambda path: path.stem)
def test_saved_messages_decode_for_ever(path: Path) -> None:
    kind = KINDS[path.stem.partition("_")[0]]
    raw = path.read_bytes().rstrip(b"\n")
    message = kind.decode(raw)
    assert message.encode() == raw
    assert kind.decode(message.encode()) == message


def test_every_kind_of_message_is_saved() -> None:
    assert {path.stem.partition("_")[0] for path in SAVED.glob("*.json")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        (2, "has format version 2; this release reads 1"),  # a later release
        (0, "has format version 0"),
        (10**30, "has format version 1000"),
        (True, "is a bool, not a whole number"),  # True == 1 in Python
        (1.0, "is a float, not a whole number"),  # and so does 1.0
        ("1", "is a str, not a whole number"),
        (None, "is a NoneType, not a whole number"),
        ([1], "is a list, not a whole number"),
    ],
)
def test_other_versions_are_refused(kind: type[Wire], version: object, complaint: str) -> None:
    with pytest.raises(UnknownVersion, match=complaint):
        kind.of({"v": version})
    with pytest.raises(UnknownVersion, match=f"of this {kind.__name__}|This {kind.__name__}"):
        kind.of({"v": version})


def test_the_version_may_be_left_out_and_is_always_written() -> None:
    assert Document.of(DOCUMENT) == Document.of({"v": 1, **DOCUMENT})
    assert Document.of(DOCUMENT).encode() == b'{"v":1,"id":"a","text":"b"}'


def test_reading_leaves_the_callers_fields_alone() -> None:
    fields = {"v": 1, **DOCUMENT}
    Document.of(fields)
    assert fields == {"v": 1, **DOCUMENT}


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "not JSON"),
        (b'{"id":"a","text":"se', "not JSON"),  # cut off
        (b'{"id":"a","text":"\xff"}', "not JSON"),  # not UTF-8
        ('{"id":"a","text":"\ud800"}', "not JSON"),
        (b'{"id":"a","text":"\\ud800"}', "not JSON"),  # an escaped lone surrogate
        (b"[]", "must be a JSON object, not list"),
        (b"null", "must be a JSON object, not NoneType"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_bytes_that_are_no_message_are_refused(raw: bytes | str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        Document.decode(raw)


# Documents

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
NUMBER = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
METADATA = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(
    text=TEXT.map(lambda text: text + "文"),  # one character that can be seen
    language=st.sampled_from(["zh", "en", "auto"]),
    metadata=st.dictionaries(TEXT, METADATA, max_size=3),
    source=st.none() | TEXT,
)
def test_a_document_comes_back_as_it_went(text: str, language: Any, metadata: Any, source: str | None) -> None:
    document = Document(id="d", text=text, language=language, metadata=metadata, source=source)
    again = Document.decode(document.encode())
    assert again == document
    assert again.text == text
    assert json.dumps(again.metadata) == json.dumps(metadata)  # == would let True pass for 1


SECRET = "Meridian will buy Fennick"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"text": ""}, "text: .*the text is empty"),
        ({"text": " \n\u3000\t"}, "the text is empty"),
        ({"text": "\u200b\ufeff\u200d"}, "the text is empty"),  # zero-width characters only
        ({"text": SECRET + "\x00"}, "text: .*NUL"),
        ({"text": SECRET + "\ud83d"}, f"text: .*lone surrogate at character {len(SECRET)}"),
        ({"text": SECRET * (MAX_TEXT_BYTES // len(SECRET) + 1)}, "text: .*the limit is 4194304"),
        ({"text": "文" * (MAX_TEXT_BYTES // 3 + 1)}, "the text has 4194306 bytes"),  # bytes count, not characters
        ({"text": 5}, "text: .*valid string"),
        ({"text": None}, "text: .*valid string"),
        ({"text": SECRET.encode() + b"\xff"}, "text: "),
        ({"id": ""}, "id: .*at least 1"),
        ({"id": "x" * 201}, "id: .*at most 200"),
        ({"id": "\ud800"}, "id: .*unicode"),
        ({"id": 7}, "id: .*valid string"),
        ({"language": SECRET}, "language: Input should be 'zh', 'en' or 'auto'"),
        ({"metadata": {"k": SECRET * 1000}}, f"metadata: .*the limit is {MAX_METADATA_BYTES}"),
        ({"metadata": {"k": SECRET + "\ud800"}}, "metadata.k"),
        ({"metadata": {"k": float("nan")}}, "metadata.k.*finite"),  # JSON would make it null
        ({"metadata": {"k": float("inf")}}, "metadata.k.*finite"),
        ({"metadata": {"k": 10**30}}, "metadata: .*cannot be written as JSON"),
        ({"metadata": {"k": nested(300)}}, r"^.{,250}$"),  # the place is cut short
        ({"metadata": {"k": nested(254)}}, "metadata"),  # as deep as pydantic allows, too deep to write
        ({"metadata": {"k": nested(245)}}, "metadata: .*cannot be written"),  # too deep for an order that holds it
        ({"metadata": [1]}, "metadata: .*valid dict"),
        ({"source": "x" * 2001}, "source: .*at most 2000"),
        ({"txt": SECRET}, "txt: Extra inputs"),  # a field nobody knows
    ],
)
def test_a_bad_document_is_refused_without_telling_its_text(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as caught:
        Document.of({**DOCUMENT, **change})
    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)


def test_what_is_just_small_enough_passes() -> None:
    assert Document.of({**DOCUMENT, "text": "x" * MAX_TEXT_BYTES})
    assert Document.of({**DOCUMENT, "metadata": {"k": "x" * (MAX_METADATA_BYTES - len('{"k":""}'))}})


@pytest.mark.parametrize("text", ["[/INST] <</SYS>> </s>", "👩‍🔬", "e\u0301", "\r\n文\t", "\ufeffx", '"\\{}'])
def test_odd_texts_are_texts(text: str) -> None:
    assert Document.decode(Document.of({**DOCUMENT, "text": text}).encode()).text == text


# Extraction schemas


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"types": []}, "types is empty"),
        ({"types": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}, "type 'a' stands twice"),
        ({"types": [{"name": str(n)} for n in range(500)]}, "500 types, the limit is 200"),
        ({"title": "x" * MAX_SCHEMA_BYTES}, f"bytes in all, the limit is {MAX_SCHEMA_BYTES}"),
        ({"types": [{"name": str(n // 2)} for n in range(200_000)]}, "200000 types"),  # and in no long time
        ({"types": [{"name": ""}]}, "types.0.name: .*at least 1"),
        ({"types": [{"name": "a "}]}, "types.0.name: .*no spaces around it"),  # looks like 'a'
        ({"types": [{"name": "a\nb"}]}, "types.0.name: .*no line break"),
        ({"types": [{"name": "a\x00"}]}, "types.0.name: .*control character"),
        ({"types": [{"name": "\ud800"}]}, "types.0.name: .*unicode"),
        ({"types": [{"name": "a", "colour": "red"}]}, "types.0.colour: Extra inputs"),
        ({"task": "SPO"}, "SPO, and only SPO, needs both"),  # without the types of its ends
        ({"task": "SPO", "types": [{"name": "a", "subject_type": "b"}]}, "needs both"),  # with one of them
        ({"types": [{"name": "a", "subject_type": "b", "object_type": "c"}]}, "SPO, and only SPO"),
        ({"task": "KG"}, "KG, and only KG, needs attributes"),
        ({"task": "EET", "flat": True}, "flat is for entities, this is EET"),
        ({"types": [{"name": "a", "attributes": [{"name": "b"}]}]}, "KG, and only KG"),
        ({"types": [{"name": "a", "roles": [{"name": "b"}]}]}, "roles belong to event tasks, this is NER"),
        ({"task": "EE", "types": [{"name": "a", "roles": [{"name": "b"}] * 2}]}, "role of 'a' 'b' stands twice"),
        ({"task": "KG", "types": [{"name": "a", "attributes": [{"name": "b"}] * 2}]}, "attribute of 'a' 'b'"),
        ({"task": "ner"}, "task: Input should be 'NER'"),
        ({"language": "auto"}, "language: Input should be 'zh' or 'en'"),
        ({"id": "News/X"}, "must be lower-case words"),
        ({"id": "news//x"}, "must be lower-case words"),
        ({"id": "../x"}, "must be lower-case words"),
        ({"id": "n/x@1"}, "must be lower-case words"),
        ({"version": 0}, "version: .*greater than or equal to 1"),
        ({"version": True}, "version: .*valid integer"),  # True == 1 in Python
        ({"version": "1"}, "version: .*valid integer"),
        ({"version": 10**30}, "version: .*less than"),
        ({"split_num": 0}, "split_num: .*0 labels a request"),
        ({"split_num": -2}, "split_num: .*greater than or equal to -1"),
        ({"split_num": True}, "split_num: .*valid integer"),
        ({"examples": [{"input": "a", "output": {"b": "\ud800"}}]}, "examples.0.output"),
        ({"examples": [{"input": "a", "output": {"b": 10**30}}]}, "examples.0.output: .*cannot be written"),
        ({"examples": [{"input": "a", "output": {"b": nested(245)}}]}, "examples.0.output: .*cannot be written"),
        ({"decoding": "strict"}, "decoding: Input should be 'free', 'json' or 'grounded'"),
    ],
)
def test_a_bad_schema_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        ExtractionSchema.of({**SCHEMA, **change})


def test_two_hundred_types_pass_and_one_predicate_may_join_other_ends() -> None:
    assert ExtractionSchema.of({**SCHEMA, "types": [{"name": str(n)} for n in range(200)]})
    ends = [{"name": "in", "subject_type": "city", "object_type": each} for each in ("country", "region")]
    assert [each.label for each in ExtractionSchema.of({**SCHEMA, "task": "SPO", "types": ends}).types] == [
        "city_in_country",
        "city_in_region",
    ]


def test_the_digest_follows_the_content_alone() -> None:
    schema = ExtractionSchema.of(SCHEMA)
    assert schema.digest == ExtractionSchema.of({**SCHEMA, "split_num": None, "title": ""}).digest
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"title": "x"},
        {"types": [{"name": "people"}]},
        {"decoding": "json"},
        {"split_num": 6},
    ]
    digests = {ExtractionSchema.of({**SCHEMA, **change}).digest for change in changes}
    assert len(digests | {schema.digest}) == 6


def test_a_schema_knows_how_many_labels_a_request_takes() -> None:
    assert ExtractionSchema.of(SCHEMA).labels_per_request == 6
    assert ExtractionSchema.of({**SCHEMA, "split_num": -1}).labels_per_request == -1


# Results, jobs, orders, labels, events


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (3, 3),  # empty
        (3, 2),  # reversed
        (-1, 2),
        (True, 2),
        ("0", 2),
        (0.0, 2),
    ],
)
def test_a_span_has_whole_bounds_in_order(start: Any, end: Any) -> None:
    with pytest.raises(BadInput, match="span"):
        Extraction.of({**EXTRACTION, "entities": [mention(span={"start": start, "end": end}, status="exact")]})


@pytest.mark.parametrize(
    "change",
    [
        {"status": "exact"},  # found, but nowhere
        {"status": "absent", "span": {"start": 0, "end": 1}},  # not found, but somewhere
        {"status": "somewhere"},
        {"confidence": 1.5},
        {"confidence": float("nan")},
        {"text": SECRET + "\ud800"},  # a model's escaped half of an emoji
    ],
)
def test_a_mention_does_not_contradict_itself(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"entities\.0") as caught:
        Extraction.of({**EXTRACTION, "entities": [mention(**change)]})
    assert SECRET not in str(caught.value)


def mention(**change: Any) -> dict[str, Any]:
    return {"text": SECRET, **change}


def test_times_are_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        Usage(engine_s=float("inf"))


def test_a_result_is_immutable() -> None:
    found = Mention(text="a", span=Span(start=0, end=1), status="exact")
    with pytest.raises(ValueError, match="frozen"):
        found.text = "b"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"key": ""}, "key"),
        ({"key": "x" * 201}, "key"),
        ({"tenant": ""}, "tenant"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"priority": "urgent"}, "priority"),
        ({"endpoints": ["a"] * 9}, "endpoints"),
        ({"endpoints": ["https://x"]}, "endpoints.0"),  # a name, not an address
        ({"document": {"id": "a", "text": " "}}, r"document\.text"),
    ],
)
def test_a_bad_order_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        Order.of({"document": DOCUMENT, "schema_ref": "n/x@1", "key": "k", **change})


def test_as_deep_as_metadata_may_be_every_message_can_hold_it() -> None:
    document = {**DOCUMENT, "metadata": {"k": nested(240)}}
    order = Order.of({"document": document, "schema_ref": "n/x@1", "key": "k"})
    label = Label.of({"document": document, "schema_ref": "n/x@1", "verdict": "confirmed", "author": "r"})
    assert Order.decode(order.encode()) == order
    assert Label.decode(label.encode()) == label
    assert keys.fingerprint(order)
    example = {"input": "a", "output": {"b": nested(240)}}
    assert len(ExtractionSchema.of({**SCHEMA, "examples": [example]}).digest) == 64


@pytest.mark.parametrize("attempts", ["9" * 25, 10**25, "1", 1.0, -1, True, None])
def test_counts_are_whole_numbers(attempts: object) -> None:
    with pytest.raises(BadInput, match="attempts"):
        Job.of({**JOB, "attempts": attempts})
    with pytest.raises(BadInput, match=r"usage\.requests"):
        Extraction.of({**EXTRACTION, "usage": {"requests": attempts}})


def test_a_job_ends_in_one_of_four_states() -> None:
    states = ["queued", "running", "succeeded", "dead", "cancelled", "expired"]
    ended = {state for state in states if Job.of({**JOB, "state": state}).has_ended}
    assert ended == TERMINAL == {"succeeded", "dead", "cancelled", "expired"}


def test_an_empty_label_is_a_statement() -> None:
    fields = {"document": DOCUMENT, "schema_ref": "n/x@1", "verdict": "confirmed", "author": "r"}
    assert Label.of(fields).entities == ()
    with pytest.raises(BadInput, match="author"):
        Label.of({**fields, "author": ""})


@pytest.mark.parametrize(
    "change",
    [
        {},  # completed, without the result
        {"extraction": EXTRACTION, "type": "extraction.failed"},
        {"extraction": EXTRACTION, "job": {**JOB, "state": "dead"}},
        {"type": "extraction.failed", "extraction": None},  # of a job that succeeded
        {"job": {**JOB, "state": "dead"}, "type": "extraction.completed"},
    ],
)
def test_an_event_does_not_contradict_its_job(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="contradicts itself"):
        Event.of({**EVENT, **change})


def test_every_error_says_something_by_itself() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SluiceError)]
    assert len(kinds) >= 12
    assert all(str(kind()).endswith(".") and str(kind("why")) == "why" for kind in kinds)


def test_linked_data_too_deep_to_send_on_is_refused() -> None:
    raw = (SAVED / "event_linked.json").read_bytes()
    fields = parsed(raw)
    assert Event.decode(raw).linked_data == fields["linked_data"]
    with pytest.raises(BadInput, match="linked_data"):
        Event.of({**fields, "linked_data": {"a": nested(250)}})
