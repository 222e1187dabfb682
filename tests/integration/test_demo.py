"""The demo as a newcomer runs it, twice in the same folder."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
from rich.cells import cell_len
from sluice_processes import left_in, started, until

from sluice_schemas.extraction import Extraction, Mention
from sluice_worker.demo import report

pytestmark = pytest.mark.timeout(900)

MINUTES = 7
"""On a busy machine; alone it takes well under one."""


@dataclass(frozen=True)
class Demo:
    """A finished run."""

    folder: Path
    code: int
    output: str
    left: tuple[str, ...]

    @property
    def extractions(self) -> list[Extraction]:
        return report.read(self.folder / "results.jsonl")


def run(folder: Path) -> Demo:
    command = [sys.executable, "-m", "sluice_producer", "demo", "--out", str(folder)]
    done = subprocess.run(
        ["env", "COLUMNS=80", *command], capture_output=True, text=True, timeout=MINUTES * 60, check=False
    )
    return Demo(folder, done.returncode, done.stdout + done.stderr, tuple(left_in(folder)))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("build") / "demo"
    folder.mkdir()
    (folder / "mine.txt").write_text("not the demo's")
    return run(folder)


def test_ends_well_and_leaves_no_process(demo: Demo) -> None:
    assert demo.code == 0, demo.output
    assert demo.left == ()


def test_one_result_a_document(demo: Demo) -> None:
    documents = [orjson.loads(line) for line in report.DOCUMENTS.read_bytes().splitlines()]
    assert len(documents) == len(demo.extractions) == 45
    texts = {each["id"]: each["text"] for each in documents}
    assert {each.document_id: each.text for each in demo.extractions} == texts


def mentions(extraction: Extraction) -> Iterator[Mention]:
    yield from extraction.entities
    for relation in extraction.relations:
        yield from (relation.head, relation.tail)
    for event in extraction.events:
        yield from (each for each in (event.trigger, *(given.value for given in event.arguments)) if each)


def test_spans_are_true(demo: Demo) -> None:
    found = [(each.text or "", mention) for each in demo.extractions for mention in mentions(each)]
    exact = [(text, mention) for text, mention in found if mention.status == "exact"]
    assert exact
    for text, mention in exact:
        assert mention.span is not None
        assert text[mention.span.start : mention.span.end] == mention.text
    for text, mention in found:
        assert mention.span is None or mention.span.end <= len(text)


def test_every_webhook_was_verified(demo: Demo) -> None:
    told = orjson.loads((demo.folder.parent / "demo.json").read_bytes())
    assert (told["documents"], told["webhooks"], told["knowledge"]["documents"]) == (45, 45, 45)
    assert min(told["knowledge"].values()) >= 10
    assert 0 <= told["outside_engine_share"] < 1
    assert set(told["strict_f1"]) >= {"NER en", "NER zh", "RE en", "RE zh"}
    assert "45 events were delivered by signed webhooks." in demo.output


def test_page_stands_alone(demo: Demo) -> None:
    page = (demo.folder / "index.html").read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert "<mark" in page


def test_terminal_of_80_columns(demo: Demo) -> None:
    assert "Traceback" not in demo.output
    wide = [line for line in demo.output.splitlines() if cell_len(line) > 80 and str(demo.folder) not in line]
    assert wide == []


def test_nobody_elses_file_is_touched(demo: Demo) -> None:
    assert (demo.folder / "mine.txt").read_text() == "not the demo's"


def test_second_run_is_clean_too(demo: Demo) -> None:
    before = {each.job_id for each in demo.extractions}
    again = run(demo.folder)
    assert again.code == 0, again.output
    assert again.left == ()
    assert len(again.extractions) == 45
    assert before.isdisjoint(each.job_id for each in again.extractions), "nothing of the first run is shown again"


def test_interrupted_it_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--out", str(tmp_path / "demo")) as running:
        until(lambda: (tmp_path / "demo/run/worker.ready").exists(), 90)
        # From the terminal it goes to the foreground's whole process group.
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.process.wait(60) == 130
        assert left_in(tmp_path) == []
        assert "Traceback" not in running.said()


def test_kept_it_serves_the_knowledge_base_until_it_is_stopped(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--keep", "--out", str(tmp_path / "demo")) as running:
        until(lambda: "The knowledge base is at http" in running.said() or running.process.poll() is not None, 300)
        found = re.search(r"The knowledge base is at (\S+)", running.said())
        assert found, running.said()
        assert httpx.get(f"{found[1]}/health").json()["documents"] == 45
        assert "<html" in httpx.get(found[1]).text
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.process.wait(60) == 130
        assert left_in(tmp_path) == []
