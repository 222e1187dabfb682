"""`sluice submit` on the ledger's twin in memory: what is read, counted, written and taken up again."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from ledger_stage import endpoint

from sluice_producer.cli import sluice
from sluice_producer.cli.intake import MAX_LINE_BYTES, Wishes, jsonl, plain_text
from sluice_producer.cli.session import Session
from sluice_producer.client import Sluice
from sluice_producer.testing import AnsweringDoorbell, empty
from sluice_schemas.document import MAX_TEXT_BYTES
from sluice_schemas.errors import BadOutput, Unavailable
from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job, Order
from sluice_schemas.ledger import Claim, MemoryLedger
from sluice_schemas.queues import Doorbell, SilentDoorbell

NEWS = "news/entities-en@1"
WISHES = Wishes(NEWS, "text", {"language": "auto"})


class Desk:
    """A user with a file in a folder. Jobs end at once unless the doorbell is silent."""

    def __init__(self, folder: Path) -> None:
        self.ledger = MemoryLedger()
        self.ledger.outbox.add_endpoint(endpoint("kb"))
        self.bell: Doorbell = AnsweringDoorbell(self.ledger, self._answer)
        self.answered: list[str] = []
        self.source, self.out = folder / "in.jsonl", folder / "out.jsonl"

    def _answer(self, claim: Claim) -> Extraction:
        text = claim.order.document.text
        self.answered.append(text)
        if "poison" in text:
            raise BadOutput("the model fell over")
        return empty(claim)

    def write(self, *documents: str | dict[str, Any] | bytes) -> None:
        self.source.write_bytes(b"".join(_line(each) + b"\n" for each in documents))

    def run(self, *arguments: str, stdin: bytes = b"", schema: str = NEWS) -> Result:
        client = Sluice(ledger=self.ledger, doorbell=self.bell)
        command = ["submit", *arguments, "--schema", schema]
        return CliRunner().invoke(sluice, command, input=stdin, obj=Session(connect=lambda url: client))

    def harvest(self) -> Result:
        return self.run(str(self.source), "--out", str(self.out))

    def results(self) -> list[Extraction]:
        return [Extraction.decode(line) for line in self.out.read_bytes().splitlines()]

    def texts(self) -> list[str | None]:
        return [each.text for each in self.results()]


def _line(document: str | dict[str, Any] | bytes) -> bytes:
    if isinstance(document, bytes):
        return document
    return orjson.dumps({"text": document} if isinstance(document, str) else document)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def counts(found: Result) -> list[int]:
    """submitted, known, succeeded, failed, bad: the numbers of the last line of stderr; what it lacks is 0."""
    said = dict(part.rsplit(" ", 1) for part in found.stderr.splitlines()[-1].split(", "))
    names = ("submitted", "already known", "succeeded", "failed", "bad lines")
    assert said.keys() <= set(names)
    return [int(said.get(name, 0)) for name in names]


class TestWithoutWaiting:
    def test_prints_a_job_a_line(self, desk: Desk) -> None:
        desk.bell = SilentDoorbell()
        desk.write("one", "two")
        found = desk.run(str(desk.source), "--priority", "replay", "--tenant", "t", "--endpoint", "kb")
        jobs = [Job.decode(line) for line in found.stdout.splitlines()]
        assert [(job.state, job.priority, job.tenant, job.endpoints) for job in jobs] == [
            ("queued", "replay", "t", ("kb",))
        ] * 2
        assert (found.exit_code, counts(found)) == (0, [2, 0, 0, 0, 0])

    def test_a_second_run_submits_nothing_twice(self, desk: Desk) -> None:
        desk.bell = SilentDoorbell()
        desk.write("one", "two")
        first, second = desk.run(str(desk.source)), desk.run(str(desk.source))
        assert first.stdout == second.stdout
        assert counts(second) == [0, 2, 0, 0, 0]
        assert desk.ledger.counts().queued == 2

    def test_other_endpoints_are_other_work(self, desk: Desk) -> None:
        desk.write("one")
        assert counts(desk.run(str(desk.source))) == [1, 0, 0, 0, 0]
        assert counts(desk.run(str(desk.source), "--endpoint", "kb")) == [1, 0, 0, 0, 0]

    def test_standard_input(self, desk: Desk) -> None:
        assert counts(desk.run("-", stdin=b'{"text": "one"}\n')) == [1, 0, 0, 0, 0]

    def test_unknown_schema_before_anything(self, desk: Desk) -> None:
        desk.write("one")
        refused = desk.run(str(desk.source), schema="news/entities@1")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr.startswith("error: There is no schema 'news/entities@1'. Did you mean")

    def test_lost_redis_stops_the_run_with_its_counts(self, desk: Desk) -> None:
        desk.ledger = GoneAfter(1)
        desk.bell = SilentDoorbell()
        desk.write("one", "two", "three")
        found = desk.run(str(desk.source))
        assert found.exit_code == 1
        assert found.stderr.splitlines() == [
            "submitted 1, already known 0, bad lines 0",
            "error: A service that is needed did not answer, and nothing was accepted. Try again later.",
        ]


class GoneAfter(MemoryLedger):
    """Redis goes away after some documents."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def accept(self, order: Order) -> Job:
        if not self.left:
            raise Unavailable
        self.left -= 1
        return super().accept(order)


class TestResults:
    def test_each_has_its_text(self, desk: Desk) -> None:
        desk.write({"text": "one", "id": "a", "language": "zh"}, "two")
        found = desk.harvest()
        assert (found.exit_code, found.stdout, counts(found)) == (0, "", [2, 0, 2, 0, 0])
        assert [(each.text, each.language) for each in desk.results()] == [("one", "zh"), ("two", "en")]
        assert desk.results()[0].document_id == "a"

    def test_on_standard_output(self, desk: Desk) -> None:
        desk.write("one", "two")
        found = desk.run(str(desk.source), "--wait")
        assert [Extraction.decode(line).text for line in found.stdout.splitlines()] == ["one", "two"]

    def test_one_bad_line_and_one_poison_fail_alone(self, desk: Desk) -> None:
        desk.write("one", b"{", "poison", "", "two")
        found = desk.harvest()
        assert (found.exit_code, counts(found)) == (1, [3, 0, 2, 1, 2])
        assert sorted(desk.texts(), key=str) == ["one", "two"]
        said = found.stderr.splitlines()
        assert any(line.startswith("line 2: This is not JSON") for line in said)
        assert any(line.startswith("line 3: Job ") and "is dead: the model fell over" in line for line in said)
        assert any(line.startswith("line 4: ") and "the text is empty" in line for line in said)

    @pytest.mark.parametrize("line", ["poison", b"{"])
    def test_anything_that_failed_is_exit_code_1(self, desk: Desk, line: str | bytes) -> None:
        desk.write("one", line)
        assert desk.harvest().exit_code == 1

    def test_a_line_has_its_own_schema(self, desk: Desk) -> None:
        desk.write("one", {"text": "二", "schema": "news/relations-zh@1"}, {"text": "x", "schema": "zzz"})
        found = desk.harvest()
        assert counts(found) == [2, 0, 2, 0, 1]
        assert sorted(each.task for each in desk.results()) == ["NER", "RE"]
        assert "line 3: There is no schema 'zzz'." in found.stderr

    def test_a_small_window_takes_all(self, desk: Desk) -> None:
        desk.write(*(f"text {n}" for n in range(20)))
        found = desk.run(str(desk.source), "--out", str(desk.out), "--window", "1")
        assert counts(found) == [20, 0, 20, 0, 0]
        assert sorted(desk.texts(), key=str) == sorted(f"text {n}" for n in range(20))

    def test_the_same_document_twice_is_one_result(self, desk: Desk) -> None:
        desk.write("one", "one", {"text": "one", "id": "other"})
        found = desk.harvest()
        assert sum(counts(found)[:2]) == 3
        assert (len(desk.answered), len(desk.results())) == (2, 2)


class TestTakingUpAgain:
    def test_nothing_is_submitted_or_written_twice(self, desk: Desk) -> None:
        desk.write("one", "two")
        desk.harvest()
        kept = desk.out.read_bytes()
        desk.write("two", "three", "one")  # in another order, with a new one
        assert counts(desk.harvest()) == [1, 2, 3, 0, 0]
        assert desk.out.read_bytes().startswith(kept)
        assert desk.texts() == ["one", "two", "three"]
        assert desk.answered == ["one", "two", "three"]

    def test_results_stay_known_when_the_ledger_has_forgotten(self, desk: Desk) -> None:
        desk.write("one")
        desk.harvest()
        desk.ledger = MemoryLedger()
        assert counts(desk.harvest()) == [0, 1, 1, 0, 0]
        assert desk.ledger.counts().ended == {}

    def test_but_with_an_endpoint_the_ledger_is_asked(self, desk: Desk) -> None:
        desk.write("one")
        desk.harvest()
        desk.run(str(desk.source), "--out", str(desk.out), "--endpoint", "kb")
        assert desk.ledger.counts().deliveries == 1
        assert len(desk.results()) == 1

    def test_other_language_is_other_work(self, desk: Desk) -> None:
        desk.write("one")
        desk.harvest()
        desk.run(str(desk.source), "--out", str(desk.out), "--language", "zh")
        assert [each.language for each in desk.results()] == ["en", "zh"]

    @pytest.mark.parametrize("kept_bytes", [1, 17, 30, -1])
    def test_a_torn_last_line_is_written_again(self, desk: Desk, kept_bytes: int) -> None:
        desk.write("one", "two")
        desk.harvest()
        whole = desk.out.read_bytes()
        first = whole.index(b"\n") + 1
        desk.out.write_bytes(whole[:first] + whole[first:][:kept_bytes])
        assert counts(desk.harvest()) == [0, 2, 2, 0, 0]
        assert desk.out.read_bytes() == whole
        assert desk.answered == ["one", "two"]

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            (b'{"a": 1}\n', "line 1 holds no result"),
            (b"my thesis, without an end of line", "its last line holds no result"),
        ],
    )
    def test_a_file_that_is_not_ours_stays_as_it_is(self, desk: Desk, content: bytes, fault: str) -> None:
        desk.write("one")
        desk.out.write_bytes(content)
        found = desk.harvest()
        assert found.exit_code == 1
        assert fault in found.stderr
        assert (desk.out.read_bytes(), desk.answered) == (content, [])

    def test_two_writers(self, desk: Desk) -> None:
        desk.write("one")
        codes: list[Result] = []

        class Second(SilentDoorbell):
            def ring(self, task: str, queue: str, id: str) -> None:
                desk.bell = first
                codes.append(desk.harvest())
                first.ring(task, queue, id)

        first, desk.bell = desk.bell, Second()
        assert desk.harvest().exit_code == 0
        assert [each.exit_code for each in codes] == [1]
        assert "Another process writes" in codes[0].stderr

    def test_out_is_the_input(self, desk: Desk) -> None:
        desk.write("one")
        found = desk.run(str(desk.source), "--out", str(desk.source))
        assert (found.exit_code, desk.source.read_bytes()) == (1, b'{"text":"one"}\n')
        assert "is the input itself" in found.stderr


def orders(read: Callable[..., Any], content: bytes, wishes: Wishes = WISHES) -> list[tuple[int, Any]]:
    lines = read(io.BytesIO(content), wishes)
    return [(line.number, line.order if isinstance(line.order, Order) else str(line.order)) for line in lines]


class TestIntake:
    @pytest.mark.parametrize(
        ("line", "fault"),
        [
            (b'{"text": "a', "This is not JSON"),
            (b'["a"]', "must be a JSON object"),
            (b'"a"', "must be a JSON object"),
            (b"{}", "has no text"),
            (b'{"text": 5}', "not a string"),
            (b'{"text": ""}', "the text is empty"),
            (b'{"text": "a\\u0000"}', "NUL"),
            (b'{"text": "a\\ud800"}', "not JSON"),  # a lone surrogate
            (b'{"text": "a\xff"}', "Byte 12 is not UTF-8"),
            (b'{"text": "a", "id": 5}', "id: "),
            (b'{"text": "a", "txet": "b"}', "txet: "),
            (b'{"text": "a", "schema": 5}', "schema_ref: "),
            (b'{"text": "a", "v": 9}', "format version 9"),
            (b'{"text": "a", "metadata": [1]}', "metadata: "),
            (b"[" * 5000, "not JSON"),
            (b'{"text": "a", "metadata": {"x": ' + b"[" * 248 + b"]" * 248 + b"}}", "metadata: "),  # too deep to send
            (orjson.dumps({"text": "a", "metadata": {"x": "y" * 20_000}}), "metadata has"),
            (orjson.dumps({"text": "x" * (MAX_TEXT_BYTES + 1)}), "the limit is"),
        ],
    )
    def test_a_bad_line_has_its_number_and_the_rest_goes_on(self, line: bytes, fault: str) -> None:
        (first, said), (second, order) = orders(jsonl, b"\n" + line + b'\n{"text": "good"}')
        assert (first, second, order.document.text) == (2, 3, "good")
        assert fault in said

    def test_an_endless_line_does_not_fill_the_memory(self) -> None:
        file = Endless(b'{"text": "' + b"x" * (MAX_LINE_BYTES * 2) + b'"}\n{"text": "good"}')
        (_, said), (number, order) = [(line.number, line.order) for line in jsonl(file, WISHES) if line]
        assert "longer than" in str(said)
        assert isinstance(order, Order)
        assert (number, order.document.text) == (2, "good")
        assert file.most <= MAX_LINE_BYTES + 1

    def test_byte_order_mark_and_windows_line_ends(self) -> None:
        found = orders(jsonl, b'\xef\xbb\xbf{"text": "a"}\r\n\r\n{"text": "b"}\r\n')
        assert [(number, order.document.text) for number, order in found] == [(1, "a"), (3, "b")]

    def test_another_field(self) -> None:
        wishes = Wishes(NEWS, "body", {})
        (_, order), (_, said) = orders(jsonl, b'{"body": "a"}\n{"text": "b"}', wishes)
        assert order.document.text == "a"
        assert "must stand in 'body'" in said

    def test_the_key_is_the_contents_alone(self) -> None:
        here, there = (orders(jsonl, b"\n" * n + b'{"text": "a"}')[0][1].key for n in (0, 5))
        assert here == there
        others = [b'{"text": "b"}', b'{"text": "a", "id": "b"}', b'{"text": "a", "schema": "b@1"}']
        assert len({here, *(orders(jsonl, other)[0][1].key for other in others)}) == 4

    def test_plain_text_is_one_document(self) -> None:
        ((number, order),) = orders(plain_text, b"\xef\xbb\xbfone\ntwo\n")
        assert (number, order.document.text) == (1, "one\ntwo\n")

    @pytest.mark.parametrize(
        ("content", "fault"),
        [(b"a\xff", "Byte 2 is not UTF-8"), (b" ", "empty"), (b"x" * (MAX_TEXT_BYTES + 1), "longer than a document")],
    )
    def test_bad_plain_text(self, content: bytes, fault: str) -> None:
        assert fault in orders(plain_text, content)[0][1]

    @pytest.mark.parametrize(
        ("name", "arguments", "documents"),
        [("a.txt", (), 1), ("a.TXT", (), 1), ("a.jsonl", (), 2), ("a", (), 2), ("a", ("--format", "text"), 1)],
    )
    def test_the_name_decides(self, desk: Desk, name: str, arguments: tuple[str, ...], documents: int) -> None:
        path = desk.source.with_name(name)
        path.write_text('{"text": "a"}\n{"text": "b"}\n')
        assert counts(desk.run(str(path), *arguments)) == [documents, 0, 0, 0, 0]


class Endless(io.BytesIO):
    """Remembers the longest read."""

    most = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        raw = super().readline(size)
        self.most = max(self.most, len(raw))
        return raw
