"""The client on the ledger's twin in memory."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from client_stage import NEWS, TEXT, Stage, own_schema

import sluice_producer
from sluice_producer import (
    BadInput,
    Conflict,
    Document,
    Extraction,
    Full,
    Job,
    JobFailed,
    Mention,
    NotFound,
    Order,
    Sluice,
    SluiceError,
    Unavailable,
)
from sluice_producer.testing import empty, fake_sluice
from sluice_schemas import shelf
from sluice_schemas.errors import BadOutput
from sluice_schemas.ledger import Claim, MemoryLedger
from sluice_schemas.queues import JOB_BELL, SilentDoorbell


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_all_names_are_exported_and_no_other() -> None:
    public = {name for name, value in vars(sluice_producer).items() if not name.startswith("_")}
    modules = {name for name in public if hasattr(sluice_producer, name) and _is_module(name)}
    assert sorted(public - modules) == sluice_producer.__all__


def _is_module(name: str) -> bool:
    return getattr(vars(sluice_producer)[name], "__spec__", None) is not None


class TestSubmit:
    def test_one_line_is_enough(self, stage: Stage) -> None:
        job = stage.client.submit(TEXT, schema=NEWS)
        assert (job.state, job.schema_ref, job.priority) == ("queued", NEWS, "interactive")
        assert job.document_id == hashlib.sha256(TEXT.encode()).hexdigest()
        assert stage.bell.rung == [JOB_BELL]

    def test_options_reach_the_order(self, stage: Stage) -> None:
        job = stage.submit(
            id="d", language="zh", metadata={"n": 1}, source="s", key="k", priority="bulk", tenant="t",
            endpoints=["kb"], timeout_s=9,
        )  # fmt: skip
        order = stage.claim(job.id).order
        assert order.document == Document(id="d", text=TEXT, language="zh", metadata={"n": 1}, source="s")
        assert (order.key, order.priority, order.tenant, order.endpoints, order.timeout_s) == (
            "k", "bulk", "t", ("kb",), 9,
        )  # fmt: skip

    def test_a_document_goes_as_it_is(self, stage: Stage) -> None:
        document = Document(id="d", text=TEXT, language="en")
        job = stage.client.submit(document, schema=NEWS)
        assert stage.claim(job.id).order.document == document

    def test_each_call_is_a_job_of_its_own(self, stage: Stage) -> None:
        assert stage.submit().id != stage.submit().id

    def test_a_key_makes_it_one_job(self, stage: Stage) -> None:
        first = stage.submit(key="k")
        assert stage.submit(key="k").id == first.id
        with pytest.raises(Conflict, match="already stands for job"):
            stage.submit("Another text.", key="k")

    def test_a_job_that_has_ended_is_not_rung_for(self, stage: Stage) -> None:
        job = stage.submit(key="k")
        stage.commit(job.id)
        assert stage.submit(key="k").state == "succeeded"
        assert len(stage.bell.rung) == 1

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "empty"),
            (" \u200b\n", "empty"),  # nothing a reader would see
            ("a\x00b", "NUL"),
            ("a\ud800b", "surrogate"),
            ("x" * (4 * 1024 * 1024 + 1), "limit"),
            (b"bytes", "not a string"),  # pydantic alone would take them, unchecked
            (None, "no text"),
        ],
    )
    def test_bad_text_is_refused(self, stage: Stage, text: Any, fault: str) -> None:
        with pytest.raises(BadInput, match=fault):
            stage.submit(text)
        assert stage.ledger.counts().queued == 0

    @pytest.mark.parametrize("text", ["a [/INST] b", "<</SYS>> a", "a</s>b"])
    def test_text_that_looks_like_a_prompt_is_text(self, stage: Stage, text: str) -> None:
        assert stage.claim(stage.submit(text).id).order.document.text == text

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            ({"metadata": {"a": "x" * 20_000}}, "metadata has"),
            ({"metadata": {"a": object()}}, "metadata"),
            ({"priority": "urgent"}, "priority"),
            ({"endpoints": ["Not a name"]}, "endpoints"),
            ({"timeout_s": 0}, "timeout_s"),
            ({"timeout_s": float("nan")}, "timeout_s"),
            ({"key": ""}, "key"),
            ({"id": "x" * 201}, "id"),
            ({"language": "de"}, "language"),
        ],
    )
    def test_bad_options_are_refused(self, stage: Stage, options: dict[str, Any], fault: str) -> None:
        with pytest.raises(BadInput, match=fault):
            stage.submit(**options)
        assert stage.ledger.counts().queued == 0

    def test_misspelt_option(self, stage: Stage) -> None:
        with pytest.raises(TypeError, match="Did you mean 'priority'"):
            stage.submit(prioritiy="bulk")

    def test_option_that_the_document_says_itself(self, stage: Stage) -> None:
        with pytest.raises(TypeError, match="language: a Document says this itself"):
            stage.client.submit(Document(id="d", text=TEXT), schema=NEWS, language="zh")

    @pytest.mark.parametrize(
        ("ref", "advice"),
        [
            ("news/entities@1", "Did you mean .*news/entities-en@1"),
            ("news/entities-en", "the newest is news/entities-en@1"),
            ("news/entities-en@7", "the newest is news/entities-en@1"),
            ("house/owm@3", "Did you mean house/own@3"),  # a published one
            ("zzz", "sluice schemas list"),
        ],
    )
    def test_unknown_schema_is_refused_before_anything_is_accepted(self, stage: Stage, ref: str, advice: str) -> None:
        stage.client.publish(own_schema(3))
        with pytest.raises(NotFound, match=advice):
            stage.client.submit(TEXT, schema=ref)
        assert stage.ledger.counts().queued == 0

    def test_a_broken_doorbell_is_no_error(self, caplog: pytest.LogCaptureFixture) -> None:
        ledger = MemoryLedger()
        with caplog.at_level(logging.WARNING):
            job = Sluice(ledger=ledger, doorbell=Broken()).submit(TEXT, schema=NEWS)
        assert ledger.job(job.id).state == "queued"
        assert job.id in caplog.text
        assert TEXT not in caplog.text

    def test_an_unsure_refusal_names_the_key_that_makes_it_safe(self) -> None:
        with pytest.raises(Unavailable, match=r"not accepted.*key='k' it is one job at most"):
            Stage(Gone()).submit(key="k")

    def test_ledger_and_doorbell_come_together(self) -> None:
        with pytest.raises(TypeError, match="both"):
            Sluice(ledger=MemoryLedger())


class Broken(SilentDoorbell):
    """A doorbell that breaks in a way nobody foresaw."""

    def ring(self, task: str, queue: str, id: str) -> None:
        raise RuntimeError(TEXT)


class Gone(MemoryLedger):
    """A ledger that never answers."""

    def accept(self, order: Order) -> Job:
        raise Unavailable("the document was not accepted.")


class Crowded(MemoryLedger):
    """A ledger that refuses each document twice."""

    refused = 0

    def accept(self, order: Order) -> Job:
        self.refused += 1
        if self.refused % 3:
            raise Full("full", retry_after_s=0.01)
        return super().accept(order)


class TestSubmitMany:
    def test_one_bad_document_fails_alone(self, stage: Stage) -> None:
        found = list(stage.client.submit_many(["one", "", "two"], schema=NEWS, priority="bulk"))
        assert [document for document, _ in found] == ["one", "", "two"]
        assert [type(outcome) for _, outcome in found] == [Job, BadInput, Job]
        assert stage.ledger.counts().queued == 2

    def test_a_full_backlog_is_waited_for(self, caplog: pytest.LogCaptureFixture) -> None:
        ledger = Crowded()
        found = list(Stage(ledger).client.submit_many(["one", "two"], schema=NEWS))
        assert [type(outcome) for _, outcome in found] == [Job, Job]
        assert (ledger.refused, ledger.counts().queued) == (6, 2)
        assert caplog.text.count("full") == 4

    def test_a_key_that_stands_for_other_content_fails_alone(self, stage: Stage) -> None:
        stage.submit(key="k")
        order = Order(document=Document(id="d", text="other"), schema_ref=NEWS, key="k")
        assert isinstance(stage.client.accept_patiently(order), Conflict)

    def test_what_concerns_all_is_raised(self) -> None:
        with pytest.raises(Unavailable):
            list(Stage(Gone()).client.submit_many(["one"], schema=NEWS))

    def test_unknown_schema_is_raised_before_the_first_document(self, stage: Stage) -> None:
        def documents() -> Iterator[str]:
            raise AssertionError("the first document was taken")
            yield ""

        with pytest.raises(NotFound):
            next(stage.client.submit_many(documents(), schema="zzz"))

    def test_at_most_a_window_in_flight(self, stage: Stage) -> None:
        most = 0
        for _, job in stage.client.submit_many([f"text {n}" for n in range(9)], schema=NEWS, window=3):
            assert isinstance(job, Job)
            counts = stage.ledger.counts()
            most = max(most, counts.queued + counts.running)
            if counts.queued == 3:
                threading.Timer(0.02, stage.commit, [job.id]).start()
        assert most == 3

    def test_documents_are_taken_one_at_a_time(self, stage: Stage) -> None:
        taken = []

        def endless() -> Iterator[str]:
            for n in range(10**9):
                taken.append(n)
                yield f"text {n}"

        stream = stage.client.submit_many(endless(), schema=NEWS)
        assert [next(stream)[0], next(stream)[0]] == ["text 0", "text 1"]
        assert taken == [0, 1]


class TestSchemas:
    def test_shipped_and_published_are_one_list(self, stage: Stage) -> None:
        stage.client.publish(own_schema())
        assert stage.client.schemas() == sorted([*shelf.library(), "house/own@1"])
        assert stage.client.schema("house/own@1") == own_schema()
        assert stage.client.schema(NEWS) == shelf.find(NEWS)
        assert stage.client.submit(TEXT, schema="house/own@1").state == "queued"

    def test_a_published_version_never_changes(self, stage: Stage) -> None:
        stage.client.publish(own_schema())
        stage.client.publish(own_schema())
        with pytest.raises(Conflict, match="house/own@2"):
            stage.client.publish(own_schema(name="place"))

    def test_nor_does_a_shipped_one(self, stage: Stage) -> None:
        with pytest.raises(Conflict, match="never changes"):
            stage.client.publish(shelf.find(NEWS).model_copy(update={"title": "other"}))
        stage.client.publish(shelf.find(NEWS))


class TestFake:
    def test_jobs_end_at_once(self) -> None:
        with fake_sluice() as client:
            job = client.submit(TEXT, schema="news/relations-en@1")
            assert client.result(job.id, timeout_s=1).task == "RE"

    def test_answers_are_the_tests_own(self) -> None:
        def answer(claim: Claim) -> Extraction:
            if "Kyiv" not in claim.order.document.text:
                raise BadOutput("nothing usable")
            return empty(claim).model_copy(update={"entities": (Mention(text="Anna", type="person"),)})

        client = fake_sluice(answer)
        outcomes: list[Extraction | SluiceError] = []
        for _, job in client.submit_many([TEXT, "other"], schema=NEWS):
            assert isinstance(job, Job)
            outcomes += [outcome for _, outcome in client.results([job.id])]
        assert isinstance(outcomes[0], Extraction)
        assert outcomes[0].entities[0].text == "Anna"
        assert isinstance(outcomes[1], JobFailed)
