"""Labels as training records: cut as serving cuts, asked as the protocol asks, mixed with what was learned before."""

from pathlib import Path

import orjson
import pytest

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput
from sluice_schemas.extraction import Argument, EventMention, Mention, Relation, Span
from sluice_schemas.label import Label
from sluice_schemas.schema import ExtractionSchema, Part, Type
from sluice_worker.learning import exercises, snapshot
from sluice_worker.learning.exercises import Cut
from sluice_worker.learning.snapshot import Sample

WHOLE = Cut(len, 10_000)
PEOPLE = ExtractionSchema(
    id="own/people", version=1, task="NER", language="en", types=(Type(name="person"), Type(name="city"))
)
TIES = ExtractionSchema(id="own/ties", version=1, task="RE", language="en", types=(Type(name="born in"),))
DEALS = ExtractionSchema(
    id="own/deals", version=1, task="EE", language="en", types=(Type(name="buy", roles=(Part(name="buyer"),)),)
)
TEXT = "Ada was born in London. Bob stayed at home."


def at(value: str, type: str | None = None, *, after: int = 0) -> Mention:
    start = TEXT.index(value, after)
    return Mention(text=value, type=type, span=Span(start=start, end=start + len(value)), status="exact")


def label(schema: ExtractionSchema, number: int = 1, **found: object) -> Sample:
    document = Document(id=f"d{number}", text=TEXT)
    fields = {"document": document, "schema_ref": schema.ref, "verdict": "corrected", "author": "kim", **found}
    return Sample(number, "train", Label.model_validate(fields))


def answers(sample: Sample, schema: ExtractionSchema, cut: Cut = WHOLE) -> list[tuple[str, object]]:
    lines = exercises.records([sample], {schema.ref: schema}, cut=cut, seed=1)
    parsed = [orjson.loads(line) for line in lines]
    return [(orjson.loads(each["instruction"])["input"], orjson.loads(each["output"])) for each in parsed]


def test_every_label_of_the_schema_is_asked() -> None:
    sample = label(PEOPLE, entities=(at("Ada", "person"), at("Bob", "person")))
    assert answers(sample, PEOPLE) == [(TEXT, {"person": ["Ada", "Bob"], "city": []})]


def test_each_piece_has_what_stands_in_it() -> None:
    sample = label(PEOPLE, entities=(at("Ada", "person"), at("London", "city"), at("Bob", "person")))
    first, second = answers(sample, PEOPLE, Cut(len, 30))
    assert first[1] == {"person": ["Ada"], "city": ["London"]}
    assert second == ("Bob stayed at home.", {"person": ["Bob"], "city": []})


def test_a_fact_over_two_pieces_is_in_neither() -> None:
    tie = Relation(type="born in", head=at("Bob"), tail=at("London"))
    assert [found for _, found in answers(label(TIES, relations=(tie,)), TIES, Cut(len, 30))] == [{"born in": []}] * 2
    assert answers(label(TIES, relations=(tie,)), TIES)[0][1] == {"born in": [{"head": "Bob", "tail": "London"}]}


def test_an_event_stands_where_its_trigger_does() -> None:
    event = EventMention(type="buy", trigger=at("stayed"), arguments=(Argument(role="buyer", value=at("Bob")),))
    first, second = answers(label(DEALS, events=(event,)), DEALS, Cut(len, 30))
    assert first[1] == {"buy": []}
    assert second[1] == {"buy": [{"trigger": "stayed", "arguments": {"buyer": "Bob"}}]}


def test_replay_is_the_share_that_was_asked_for(tmp_path: Path) -> None:
    old = [f'{{"old": {i}}}\n' for i in range(100)]
    mixed = exercises.write(tmp_path / "a", ["{}\n"] * 30, old, replay=0.25, seed=7)
    assert (mixed.new, mixed.replayed) == (30, 10)
    lines = (tmp_path / "a").read_text().splitlines()
    assert len(lines) == 40
    assert sum("old" in line for line in lines) == len({line for line in lines if "old" in line}) == 10
    exercises.write(tmp_path / "b", ["{}\n"] * 30, old, replay=0.25, seed=7)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert exercises.write(tmp_path / "c", ["{}\n"] * 30, old[:3], replay=0.5, seed=7).replayed == 3


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text('{"task": "NER", "instruction": "{}", "output": "{}"}\n[1]\n')
    with pytest.raises(BadInput, match="line 2"):
        exercises.replay_pool(tmp_path / "pool")
    assert exercises.replay_pool(None) == []


def test_a_snapshot_is_known_by_its_digest(tmp_path: Path) -> None:
    samples = [label(PEOPLE, 1, entities=(at("Ada", "person"),)), Sample(2, "test", label(TIES, 2).label)]
    written = snapshot.write(tmp_path / "s", samples)
    assert written.counts == {"own/people@1": {"train": 1}, "own/ties@1": {"test": 1}}
    assert [*snapshot.read(tmp_path / "s", "train", "dev", "test")] == samples
    assert [each.number for each in snapshot.read(tmp_path / "s", "test")] == [2]
    assert snapshot.write(tmp_path / "t", samples).digest == written.digest
    assert snapshot.write(tmp_path / "u", samples[:1]).digest != written.digest


def test_a_cut_snapshot_is_told(tmp_path: Path) -> None:
    snapshot.write(tmp_path / "s", [label(PEOPLE)])
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-30])
    with pytest.raises(BadInput, match="line 1"):
        [*snapshot.read(tmp_path / "s", "train")]
