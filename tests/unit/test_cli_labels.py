"""`sluice labels` on a file of its own: what goes in comes out again, in each form."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from label_stage import SCHEMA, label, story

from sluice_producer.cli.session import Session
from sluice_producer.client import Sluice
from sluice_producer.labels.command import labels
from sluice_schemas.extraction import Extraction
from sluice_schemas.ledger import MemoryLedger
from sluice_schemas.queues import SilentDoorbell

WHO = ("--schema", SCHEMA.ref, "--author", "eva")


class Desk:
    """A user at a terminal, with a database in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._client = Sluice(ledger=MemoryLedger(), doorbell=SilentDoorbell())
        self._client.publish(SCHEMA)

    def run(self, *arguments: str, database: str = "labels.db") -> Result:
        url = f"sqlite:///{self.folder / database}"
        return CliRunner().invoke(labels, ("--labels", url, *arguments), obj=Session(connect=lambda _: self._client))

    def file(self, *lines: object) -> str:
        path = self.folder / "given.jsonl"
        path.write_bytes(b"\n".join(each if isinstance(each, bytes) else orjson.dumps(each) for each in lines))
        return str(path)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


ANNA = {"id": "a", "text": "Anna met Ben in Ulm.", "entity": [{"entity": "Anna", "entity_type": "person"}]}
BEN = {"id": "b", "text": "本 met 😀 Ben.", "entity": [{"entity": "Ben", "entity_type": "person"}]}


@pytest.mark.parametrize("form", ["jsonl", "oneke", "labelstudio"])
def test_what_is_exported_is_imported_and_exported_the_same(desk: Desk, form: str) -> None:
    desk.run("import", desk.file(ANNA, BEN), *WHO, "--form", "oneke")
    first, second = desk.folder / "first", desk.folder / "second"
    asked = ("export", "--form", form, "--schema", SCHEMA.ref, "--out")
    assert desk.run(*asked, str(first)).exit_code == 0
    told = desk.run("import", str(first), *WHO, "--form", form, database="other.db")
    assert (told.exit_code, told.stderr) == (0, "2 labels kept, 0 were there already, 0 were bad.\n")
    assert desk.run(*asked, str(second), database="other.db").exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().count(b"Ben") >= 2


def test_bad_lines_are_named_and_the_others_kept(desk: Desk) -> None:
    wrong = {"text": "Anna", "entity": [{"entity": "Bob", "entity_type": "person"}]}
    told = desk.run(
        "import", desk.file(ANNA, b"nonsense", wrong, b"", {"text": ""}, b"[]", BEN), *WHO, "--form", "oneke"
    )
    assert told.exit_code == 1
    said = told.stderr.splitlines()
    assert [line.partition(":")[0] for line in said[:-1]] == ["line 2", "line 3", "line 5", "line 6"]
    assert "entities[0] ('person'): its value stands nowhere" in said[1]
    assert said[-1] == "2 labels kept, 0 were there already, 4 were bad."
    again = desk.run("import", desk.file(ANNA, BEN), *WHO, "--form", "oneke")
    assert (again.exit_code, again.stderr) == (0, "0 labels kept, 2 were there already, 0 were bad.\n")


def test_a_file_that_is_no_list_of_tasks_is_refused(desk: Desk) -> None:
    told = desk.run("import", desk.file({"a": 1}), *WHO, "--form", "labelstudio")
    assert "no list of tasks" in str(told.exception)
    tasks = [{"id": 8, "data": {"text": "Anna"}, "annotations": [{"result": []}]}, {"id": 9, "text": "JSON-MIN"}]
    told = desk.run("import", desk.file(tasks), *WHO, "--form", "labelstudio")
    assert told.stderr.startswith("task 9: This is no task of Label Studio with annotations")
    assert told.stderr.endswith("1 labels kept, 0 were there already, 1 were bad.\n")


def test_a_share_is_exported_alone(desk: Desk) -> None:
    desk.run("import", desk.file(*(orjson.loads(label(story(str(n))).encode()) for n in range(40))), *WHO)
    (counts,) = map(orjson.loads, desk.run("count").stdout.splitlines())
    parts = {share: desk.run("export", "--share", share).stdout for share in ("train", "dev", "test")}
    assert {share: part.count("\n") for share, part in parts.items()} == {name: counts[name] for name in parts}
    assert counts["train"] + counts["dev"] + counts["test"] == counts["labels"] == 40
    assert min(counts["dev"], counts["test"]) > 0


def test_the_history_is_listed_newest_first(desk: Desk) -> None:
    desk.run("import", desk.file(ANNA, BEN), *WHO, "--form", "oneke")
    listed = [orjson.loads(line) for line in desk.run("list").stdout.splitlines()]
    assert [(each["id"], each["document_id"], each["author"]) for each in listed] == [(2, "b", "eva"), (1, "a", "eva")]
    assert len(desk.run("list", "--document", "a").stdout.splitlines()) == 1
    assert desk.run("list", "--author", "nobody").stdout == ""
    assert len(desk.run("list", "--limit", "1").stdout.splitlines()) == 1


def test_onekes_form_is_of_one_schema(desk: Desk) -> None:
    told = desk.run("export", "--form", "oneke")
    assert (told.exit_code, "needs --schema" in told.stderr) == (2, True)


def test_results_become_tasks_with_predictions(desk: Desk) -> None:
    about = {"job_id": "j", "document_id": "d", "schema_ref": SCHEMA.ref, "task": "NER", "language": "en", "model": "m"}
    entity = {"text": "Anna", "type": "person", "span": {"start": 2, "end": 6}, "status": "exact", "confidence": 0.5}
    whole = Extraction.of({**about, "text": "😀 Anna", "entities": [entity]})
    given = desk.file(whole.encode(), b"nonsense", Extraction.of(about).encode())
    told = desk.run("export", "--predictions", given, "--form", "labelstudio")
    (task,) = orjson.loads(told.stdout)
    (prediction,) = task["predictions"]
    assert (prediction["score"], prediction["result"][0]["value"]["start"]) == (0.5, 2)
    assert told.exit_code == 1
    assert [line.partition(":")[0] for line in told.stderr.splitlines()] == ["line 2", "job j"]
    assert desk.run("export", "--predictions", given).exit_code == 2


def test_a_configuration_is_printed(desk: Desk) -> None:
    assert '<Label value="person"/>' in desk.run("config", SCHEMA.ref).stdout
