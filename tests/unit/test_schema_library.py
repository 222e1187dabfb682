"""The schemas that ship are sound, complete and found by their exact reference; what is not says where."""

from pathlib import Path
from typing import get_args

import pytest

from sluice_schemas import shelf
from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.schema import SPLIT_NUM, ExtractionSchema, Task

SHIPPED = shelf.library()
LIBRARY = Path(__file__).parents[2] / "schemas" / "library"
SOUND = "id: a/b\nversion: 1\ntask: NER\nlanguage: en\ntypes: [{name: person}]\n"


def labels(ref: str) -> list[str]:
    return [each.label for each in shelf.find(ref).types]


def test_every_file_of_the_library_is_shelved_under_its_path() -> None:
    paths = {path.relative_to(LIBRARY).as_posix().removesuffix(".yaml") for path in LIBRARY.rglob("*.yaml")}
    assert paths == {schema.id for schema in SHIPPED.values()}
    assert len(paths) >= 14


def test_every_task_ships_in_both_languages() -> None:
    pairs = {(schema.task, schema.language) for schema in SHIPPED.values()}
    assert pairs == {(task, language) for task in get_args(Task) for language in ("zh", "en")}


@pytest.mark.parametrize("schema", SHIPPED.values(), ids=SHIPPED)
def test_everything_is_described_in_the_language_of_the_schema(schema: ExtractionSchema) -> None:
    parts = [part for each in schema.types for part in (*each.roles, *each.attributes)]
    texts = [schema.title, schema.description, *(each.description for each in schema.types)]
    texts += [part.description for part in parts]
    assert all(len(text) >= 5 for text in texts)
    is_chinese = [any("\u4e00" <= char <= "\u9fff" for char in text) for text in texts]
    assert set(is_chinese) == {schema.language == "zh"}


@pytest.mark.parametrize("schema", SHIPPED.values(), ids=SHIPPED)
def test_what_ships_survives_the_wire(schema: ExtractionSchema) -> None:
    again = ExtractionSchema.decode(schema.encode())
    assert again == schema
    assert again.digest == schema.digest


def test_event_and_profile_schemas_name_what_they_ask_for() -> None:
    for schema in SHIPPED.values():
        assert all(bool(each.roles) == (schema.task in ("EE", "EEA")) for each in schema.types), schema.ref


def test_the_news_entities_fit_into_one_request() -> None:
    assert labels("news/entities-en@1") == ["person", "organization", "location", "date", "money", "product"]
    assert labels("news/entities-zh@1") == ["人物", "组织机构", "地点", "时间", "金额", "产品"]
    assert len(labels("news/entities-en@1")) == SPLIT_NUM["NER"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_three_event_tasks_share_their_types_and_the_two_relation_tasks_theirs(language: str) -> None:
    assert labels(f"news/events-{language}@1") == labels(f"news/event-triggers-{language}@1")
    assert shelf.find(f"news/events-{language}@1").types == shelf.find(f"news/event-arguments-{language}@1").types
    predicates = [each.name for each in shelf.find(f"news/triples-{language}@1").types]
    assert predicates == labels(f"news/relations-{language}@1")


@pytest.mark.parametrize(
    ("ref", "advice"),
    [
        ("news/entities-en", "the newest is news/entities-en@1"),  # a reference without its version
        ("news/entities-en@7", "the newest is news/entities-en@1"),  # a version that does not exist
        ("news/entites-en@1", "Did you mean news/entities-en@1"),  # a slip of the pen
        ("", "sluice schemas list"),  # nothing comes close
    ],
)
def test_a_reference_that_does_not_ship_gets_advice(ref: str, advice: str) -> None:
    with pytest.raises(NotFound, match=r"There is no schema") as caught:
        shelf.find(ref)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SOUND + "title: x\ntitle: y\n", "line 7: .*the key 'title' stands twice"),
        (SOUND.replace("name: person", "name: person, name: place"), "line 5: .*the key 'name' stands twice"),
        ("id: &a [x]\ntitle: *a\n", "line 2: .*alias"),  # aliases can grow without end
        ("id: !!bool x\n", r"line 1: .*a tag \(tag:yaml.org,2002:bool\); write the value without it"),
        ("a: b\nid: !!set [a]\n", r"line 2: .*a tag"),
        ("!x {}\n", "line 1: .*a tag"),
        ("v: 0x" + "f" * 5000, "line 1: .*a number of 5002 characters; put a text between quotes"),
        ("v: 1" + ":59" * 100_000, "a number of 300001 characters"),  # base 60, and very long in the reading
        ("v: 1" + ":59" * 300 + ".5", "a number of 903 characters"),  # more than a float holds
        ("id: [\n", "not valid YAML"),  # broken off
        ("id: 2024-02-31\n", "not valid YAML"),  # a date that does not exist
        ("? [a]\n: b\n", "not valid YAML"),  # a key that is a list
        ("a: \x00\n", "not valid YAML"),  # NUL
        ("[" * 5000, "nested too deeply"),
        ("", "must be a JSON object, not NoneType"),  # an empty file
        ("- a\n", "must be a JSON object, not list"),
        (SOUND + "colour: red\n", "colour: Extra inputs"),  # a field nobody knows
        (SOUND.replace("en\n", "no\n"), "language: Input should be 'zh' or 'en'"),  # YAML reads `no` as false
        (SOUND.replace("version: 1", "version: true"), "version: Input should be a valid integer"),
        (SOUND.replace("version: 1", "version: '1'"), "version: Input should be a valid integer"),
        (SOUND.replace("[{name: person}]", "[{name: 2024}]"), "types.0.name: Input should be a valid string"),
        (SOUND + "v: 2\n", "format version 2"),
    ],
)
def test_a_text_that_is_no_schema_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        shelf.load(text)


def test_a_schema_may_also_be_json() -> None:
    assert shelf.load(
        '{"id":"a/b","version":1,"task":"NER","language":"en","types":[{"name":"person"}]}'
    ) == shelf.load(SOUND)


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"id: \xff\n")
    with pytest.raises(BadInput, match=r"bad\.yaml: byte 4 is not UTF-8"):
        shelf.load(bad)
    with pytest.raises(NotFound, match=r"none\.yaml: the file cannot be read"):
        shelf.load(tmp_path / "none.yaml")


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "marked.yaml"
    path.write_text(SOUND, encoding="utf-8-sig")
    assert shelf.load(path) == shelf.load(SOUND)


def test_a_file_must_be_named_after_its_schema(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(SOUND)
    with pytest.raises(BadInput, match=r"other\.yaml: id: it says 'a/b'"):
        shelf.shelve(tmp_path)


def test_versions_stand_side_by_side_but_never_twice(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "b.yaml").write_text(SOUND.replace("version: 1", "version: 2"))
    (folder / "b@1.yaml").write_text(SOUND)
    both = shelf.shelve(tmp_path)
    assert sorted(both) == ["a/b@1", "a/b@2"]
    assert shelf.find("a/b@1", among=both).version == 1
    with pytest.raises(NotFound, match=r"the newest is a/b@2\."):
        shelf.find("a/b", among=both)
    (folder / "b@2.yaml").write_text(SOUND.replace("version: 1", "version: 2"))
    with pytest.raises(BadInput, match="a/b@2 stands in two files"):
        shelf.shelve(tmp_path)
