"""The label set of a three-line schema file, for each task."""

from pathlib import Path

import pytest

from sluice_schemas.errors import BadInput, NotFound
from sluice_schemas.schema import Task
from sluice_worker.conversion.behaviour import ORIGINAL
from sluice_worker.conversion.labels import SchemaLines, named, parts_of, read, types_of

LINES = SchemaLines(("b", "a"), ("r", "q"), {"a": ("y", "x"), "c": ()})


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("NER", {"b": (), "a": ()}),
        ("EET", {"b": (), "a": ()}),
        ("RE", {"r": (), "q": ()}),
        ("EE", {"a": ("y", "x"), "c": (), "b": ()}),  # line 3, then what only line 1 names
        ("EEA", {"a": ("y", "x"), "c": ()}),
        ("KG", {"a": ("y", "x"), "c": ()}),
    ],
)
def test_the_labels_of_a_task(task: Task, expected: dict[str, tuple[str, ...]]) -> None:
    types = types_of(task, LINES)
    assert {each.label: parts_of(task, each) for each in types} == expected
    assert [each.label for each in types] == [*expected], "schema order"


def test_the_original_trains_kg_on_one_type_with_every_attribute() -> None:
    (only,) = ORIGINAL.training_types("KG", LINES)
    assert (only.label, parts_of("KG", only)) == ("a", ("r", "q"))
    assert ORIGINAL.training_types("NER", LINES) == types_of("NER", LINES)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Person_born in_City", ("Person", "born in", "City")),
        ("A_b_c_D", ("A", "b_c", "D")),  # the predicate may hold underscores
    ],
)
def test_typed_relations_are_cut_at_the_outer_underscores(label: str, expected: tuple[str, ...]) -> None:
    each = named("SPO", label)
    assert (each.subject_type, each.name, each.object_type) == expected
    assert each.label == label


@pytest.mark.parametrize("label", ["born in", "Person_born", "_born_City", "Person__City", "Person_born_"])
def test_a_typed_relation_has_three_parts(label: str) -> None:
    with pytest.raises(BadInput, match="subjectType_predicate_objectType"):
        named("SPO", label)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'["a", "b", "a"]\n["r"]\n{"a": ["x", "x"]}\nignored', SchemaLines(("a", "b"), ("r",), {"a": ("x",)})),
        (b"\xef\xbb\xbf[]\r\n[]\r\n{}", SchemaLines((), (), {})),  # byte order mark, line ends of Windows
        ('["人物"]'.encode(), SchemaLines(("人物",), (), {})),  # lines left out
    ],
)
def test_schema_files(tmp_path: Path, content: bytes, expected: SchemaLines) -> None:
    (tmp_path / "schema.json").write_bytes(content)
    assert read(tmp_path / "schema.json") == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n[]\n{}', "line 1: this is no list of strings"),
        (b"[]\n[1]\n{}", "line 2: this is no list of strings"),
        (b"[]\n[]\n[1]", "line 3: this is no object of lists"),
        (b'[]\n[]\n{"a": [1]}', "line 3: this is no list of strings"),
        (b"{\n}", r"line 1: this is not JSON .* \.yaml"),  # JSON over several lines
    ],
)
def test_a_file_that_is_no_such_schema(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "schema.json").write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "schema.json")


def test_a_missing_schema_file() -> None:
    with pytest.raises(NotFound, match="--schema"):
        read(Path("nowhere/schema.json"))
