"""`sluice` as users run it: a process of its own, on a real Redis, killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from redis import Redis
from redis_server import RedisServer
from stand_in_worker import stand_in_worker

from sluice_schemas.extraction import Extraction
from sluice_schemas.job import Job

NEWS = "news/entities-en@1"
SLUICE = str(Path(sys.executable).with_name("sluice"))


class Desk:
    """A folder with documents, and the command line beside it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.source, self.out = folder / "in.jsonl", folder / "out.jsonl"
        self.started: list[subprocess.Popen[bytes]] = []
        self._environment = {**os.environ, "SLUICE_REDIS_URL": url, "COLUMNS": "80"}

    def write(self, count: int) -> None:
        lines = [orjson.dumps({"text": f"Anna works in town {n}."}) for n in range(count)]
        self.source.write_bytes(b"\n".join(lines) + b"\n")

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        process = subprocess.Popen([SLUICE, *arguments], env=self._environment, stdin=stdin, stdout=pipe, stderr=pipe)
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def harvest(self, *arguments: str) -> list[str]:
        return ["submit", str(self.source), "--schema", NEWS, "--out", str(self.out), *arguments]

    def results(self) -> int:
        return self.out.read_bytes().count(b"\n") if self.out.exists() else 0

    def texts(self) -> list[str | None]:
        return [Extraction.decode(line).text for line in self.out.read_bytes().splitlines()]


@pytest.fixture
def desk(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(redis_url, tmp_path)
    yield desk
    for process in desk.started:
        with process:
            process.kill()


def until(process: subprocess.Popen[bytes], desk: Desk, results: int) -> None:
    ends = time.monotonic() + 30
    while desk.results() < results:
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < ends, "no results came"
        time.sleep(0.01)


def test_documents_in_results_out(desk: Desk, redis_url: str) -> None:
    desk.write(30)
    with stand_in_worker(redis_url):
        code, out, err = desk.run(*desk.harvest())
    assert (code, out) == (0, "")
    assert err.splitlines()[-1] == "submitted 30, already known 0, succeeded 30, failed 0, bad lines 0"
    assert len(set(desk.texts())) == len(desk.texts()) == 30


def test_killed_torn_and_taken_up_again(desk: Desk, redis_url: str) -> None:
    desk.write(120)
    with stand_in_worker(redis_url, pause_s=0.01) as ledger:
        for wanted in (15, 45):
            process = desk.start(*desk.harvest("--window", "16"))
            until(process, desk, wanted)
            process.kill()
            process.communicate()
            with desk.out.open("ab") as out:
                out.write(b'{"v":1,"job_id":"0190')
        code, _, err = desk.run(*desk.harvest())
        ended = ledger.counts().ended
    assert code == 0
    assert err.splitlines()[-1].endswith("succeeded 120, failed 0, bad lines 0")
    assert Counter(desk.texts()) == Counter(f"Anna works in town {n}." for n in range(120))
    assert ended == {"succeeded": 120}, "a document was submitted twice"


def test_results_come_while_documents_are_still_to_come(desk: Desk, redis_url: str) -> None:
    line = b'{"text": "Anna works in Kyiv %d."}\n'
    with stand_in_worker(redis_url):
        process = desk.start("submit", "-", "--schema", NEWS, "--wait", stdin=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        for n in range(4):
            process.stdin.write(line % n)
            process.stdin.flush()
            time.sleep(0.05)
        first = Extraction.decode(process.stdout.readline())
        process.stdin.close()
        # By the same reader: it may have read further than the first line.
        rest = process.stdout.read()
        assert process.wait(30) == 0
    assert first.text == "Anna works in Kyiv 0."
    assert len(rest.splitlines()) == 3


def test_memory_does_not_grow_with_the_file(desk: Desk, redis_url: str) -> None:
    """Each document is 1 MB; the window, not the file, bounds what is held."""
    peaks = []
    with stand_in_worker(redis_url):
        for documents in (10, 80):
            with desk.source.open("wb") as file:
                for n in range(documents):
                    file.write(orjson.dumps({"text": f"{documents} {n} " + "x" * 1_000_000}) + b"\n")
            desk.out.unlink(missing_ok=True)
            process = desk.start(*desk.harvest("--window", "4"))
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.communicate()
            assert process.returncode == 0
            peaks.append(usage.ru_maxrss)
    assert peaks[1] - peaks[0] < 25_000, f"peak memory in KiB: {peaks}"


def test_interrupt_is_quiet_and_the_jobs_stay(desk: Desk, redis: Redis) -> None:
    desk.write(3)
    process = desk.start(*desk.harvest())
    ends = time.monotonic() + 30
    while redis.llen("sluice:sluice.extract") < 3:
        assert time.monotonic() < ends
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


def test_a_reader_that_goes_away_is_no_traceback(desk: Desk) -> None:
    desk.write(2000)
    process = desk.start("submit", str(desk.source), "--schema", NEWS)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=30)
    assert b"Traceback" not in said
    assert b"rror" not in said


def test_one_job_from_the_outside(desk: Desk, redis_url: str) -> None:
    desk.write(2)
    _, out, _ = desk.run("submit", str(desk.source), "--schema", NEWS)
    first, second = (Job.decode(line).id for line in out.splitlines())
    assert Job.decode(desk.run("status", first)[1]).state == "queued"
    assert Job.decode(desk.run("cancel", second)[1]).state == "cancelled"
    with stand_in_worker(redis_url):
        assert Extraction.decode(desk.run("result", first, "--timeout", "10")[1]).job_id == first
    code, out, err = desk.run("result", second)
    assert (code, out, err) == (1, "", f"error: Job {second} is cancelled: Cancelled by its caller.\n")


def test_redis_is_down(own_redis: RedisServer, tmp_path: Path) -> None:
    own_redis.kill()
    desk = Desk(own_redis.url, tmp_path)
    desk.write(2)
    code, out, err = desk.run("submit", str(desk.source), "--schema", NEWS)
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == "submitted 0, already known 0, bad lines 0"
    assert "the document was not accepted" in err.splitlines()[1]
    assert len(err.splitlines()) == 2


def test_the_light_side_stays_light() -> None:
    heavy = "torch transformers celery structlog pydantic_settings sluice_worker"
    code = f"import sys, sluice_producer.cli; sys.exit(bool(set('{heavy}'.split()) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
