"""`sluice knowledge` as a process of its own: started, refused, asked, stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from knowledge.knowledge_events import completed
from knowledge.knowledge_stage import SECRET, headers
from sluice_processes import until

from sluice_knowledge.command import knowledge

RUN = "import sys; from sluice_knowledge.command import knowledge; knowledge(sys.argv[1:], prog_name='knowledge')"
START_S = 20.0


def launch(folder: Path, *arguments: str, secret: str = SECRET) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "SLUICE_KNOWLEDGE_SECRET": secret}
    command = ["env", "--default-signal=INT,TERM", sys.executable, "-c", RUN, "serve", "--port", "0", *arguments]
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)


def outcome(folder: Path, *arguments: str, secret: str = SECRET) -> tuple[int, str]:
    """Of a process that ends by itself."""
    (folder / "said").unlink(missing_ok=True)
    return launch(folder, *arguments, secret=secret).wait(START_S), (folder / "said").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, "subprocess.Popen[bytes]"]]:
    """A folder, the URL of the knowledge base in it, and its process."""
    folder = tmp_path_factory.mktemp("site")
    process = launch(folder, "--ready-file", "ready")
    try:
        until(lambda: (folder / "ready").exists() and (folder / "ready").read_text().endswith("\n"), START_S)
        yield folder, (folder / "ready").read_text().strip(), process
    finally:
        process.kill()
        process.wait()


Site = tuple[Path, str, "subprocess.Popen[bytes]"]


def test_it_is_asked_from_the_shell(site: Site) -> None:
    _, url, _ = site
    body = completed(("Ada\x1b[31m", "lives in", "London"), document="secret words").encode()
    assert httpx.post(f"{url}/webhooks", content=body, headers=headers("w", body)).status_code == 204
    find = "SELECT ?x ?none { ?f a <urn:sluice:vocabulary:Fact> . BIND(1 AS ?x) }"
    asked = CliRunner().invoke(knowledge, ["query", find, "--url", url])
    assert (asked.exit_code, asked.output) == (0, '{"x":"1"}\n')
    assert CliRunner().invoke(knowledge, ["query", "ASK {}", "--url", url]).output == "true\n"
    made = CliRunner().invoke(knowledge, ["query", "CONSTRUCT { <urn:a> <urn:b> 1 } {}", "--url", url])
    assert made.output.startswith("<urn:a> <urn:b>")
    wrong = CliRunner().invoke(knowledge, ["query", "DROP ALL", "--url", url])
    assert (wrong.exit_code, "cannot be answered" in wrong.output) == (1, True)


def test_nobody_there_is_said() -> None:
    asked = CliRunner().invoke(knowledge, ["query", "ASK {}", "--url", "http://127.0.0.1:1"])
    assert (asked.exit_code, "sluice knowledge serve" in asked.output) == (1, True)


def test_a_second_process_is_refused(site: Site, tmp_path: Path) -> None:
    code, said = outcome(tmp_path, "--folder", str(site[0] / ".sluice/knowledge"))
    assert (code, "Another process has the knowledge base" in said) == (1, True)
    assert "Traceback" not in said


@pytest.mark.parametrize("secret", ["", "password", "whsec_c2hvcnQ="])
def test_without_a_good_secret_it_does_not_start(tmp_path: Path, secret: str) -> None:
    code, said = outcome(tmp_path, secret=secret)
    assert (code, "SLUICE_KNOWLEDGE_SECRET" in said, "Traceback" in said) == (78, True, False)
    assert not secret or secret not in said
    assert not (tmp_path / ".sluice").exists()


def test_a_port_that_is_taken_is_said(site: Site, tmp_path: Path) -> None:
    code, said = outcome(tmp_path, "--port", site[1].rpartition(":")[2])
    assert (code, "cannot listen" in said, "Traceback" in said) == (1, True, False)


def test_it_stops_in_order_and_has_said_nothing_of_the_document(site: Site) -> None:
    folder, url, process = site
    with httpx.stream("GET", f"{url}/api/events/stream", timeout=20) as stream:
        pieces = stream.iter_raw()
        next(pieces)
        process.send_signal(signal.SIGTERM)
        assert [*pieces] == []
    assert process.wait(15) == 0
    said = (folder / "said").read_text()
    assert "action=webhook.taken" in said
    assert "Traceback" not in said
    for kept_back in ("Ada", "London", "secret words", SECRET, SECRET[6:20]):
        assert kept_back not in said
