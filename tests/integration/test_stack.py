"""`sluice up`: it serves, and however it ends nothing is left behind and nothing accepted is lost."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from sluice_processes import Running, left_in, started, until

from sluice_producer import Sluice
from sluice_worker.process.redis_server import bound_to_parent

pytestmark = pytest.mark.timeout(300)

NEWS = "news/entities-en@1"
SENTENCE = "Ada Lovelace was born in London in 1815. "


@contextmanager
def up(tmp_path: Path) -> Iterator[tuple[Running, str]]:
    """A stack that is up, and the URL of its Redis."""
    with started(tmp_path, "up", "--dir", str(tmp_path / "stack"), answer_tokens="32") as running:
        until(lambda: "Sluice is up" in running.said() or running.process.poll() is not None, 120)
        found = re.search(r"SLUICE_REDIS_URL=(\S+)", running.said())
        assert found, running.said()
        yield running, found[1]


def assert_nothing_is_left(tmp_path: Path, timeout_s: float = 30.0) -> None:
    ends = time.monotonic() + timeout_s
    while left := left_in(tmp_path):
        assert time.monotonic() < ends, left
        time.sleep(0.1)


def test_serves_and_keeps_what_was_accepted_over_a_restart(tmp_path: Path) -> None:
    with up(tmp_path) as (running, url):
        assert ":6379/" not in url
        with Sluice(url) as client:
            assert client.result(client.submit(SENTENCE, schema=NEWS).id, timeout_s=60).schema_ref == NEWS
            jobs = [client.submit(SENTENCE * 60 + str(n), schema=NEWS).id for n in range(2)]
            until(lambda: any(client.job(each).state == "running" for each in jobs))
        # From the terminal it goes to the foreground's whole process group.
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.process.wait(60) == 0
        assert running.said().endswith("Stopped.\n")
        assert max(len(line) for line in running.said().splitlines() if str(tmp_path) not in line) <= 80
        assert_nothing_is_left(tmp_path, 0)
    with up(tmp_path) as (running, url):
        with Sluice(url) as client:
            for each in jobs:
                assert client.result(each, timeout_s=90).schema_ref == NEWS
                assert client.job(each).attempts == 1, "a stop costs no try"
        assert running.stop(signal.SIGTERM) == 0
        assert_nothing_is_left(tmp_path, 0)


def test_modules_in_the_folder_it_is_started_in_are_not_run(tmp_path: Path) -> None:
    (tmp_path / "orjson.py").write_text("from pathlib import Path\nPath(__file__).with_suffix('.mark').touch()\n")
    with up(tmp_path) as (running, _url):
        assert running.stop() == 0
    assert not (tmp_path / "orjson.mark").exists()


def test_a_second_one_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with up(tmp_path) as (running, url):
        with started(tmp_path, "up", "--dir", str(tmp_path / "stack")) as second:
            assert second.process.wait(30) == 1
            assert "already runs in" in second.said()
        with Redis.from_url(url) as redis:
            assert redis.ping()
        assert running.stop(signal.SIGHUP) == 0
    assert_nothing_is_left(tmp_path, 0)


@pytest.mark.parametrize("after_s", [0.0, 0.3, 1.0, 2.0])
def test_interrupted_while_it_starts(tmp_path: Path, after_s: float) -> None:
    with started(tmp_path, "up", "--dir", str(tmp_path / "stack")) as running:
        until(lambda: "Starting" in running.said())
        time.sleep(after_s)
        # CPython ends by the signal, though it was handled, when it fell into an `exec` of a string, as dataclasses
        # make at import (pythonrun.c, unhandled_keyboard_interrupt).
        assert running.stop(signal.SIGINT) in (0, -signal.SIGINT)
        assert running.said().endswith("Stopped.\n")
        assert_nothing_is_left(tmp_path)


def test_impatient_interrupts_kill_what_is_left(tmp_path: Path) -> None:
    with up(tmp_path) as (running, url):
        with Sluice(url) as client:
            job = client.submit(SENTENCE * 1000, schema=NEWS).id
            until(lambda: client.job(job).state == "running")
        started_at = time.monotonic()
        for _ in range(3):
            running.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        running.process.wait(60)
        assert time.monotonic() - started_at < 8, "sooner than the grace"
        assert_nothing_is_left(tmp_path, 5)


@pytest.mark.skipif(not bound_to_parent(), reason="needs setpriv of util-linux")
def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    with up(tmp_path) as (running, _):
        assert len(left_in(tmp_path)) >= 4, "the look itself finds what runs"
        running.process.kill()
        running.process.wait()
        assert_nothing_is_left(tmp_path, 40)


def test_child_that_dies_ends_the_stack(tmp_path: Path) -> None:
    with up(tmp_path) as (running, _):
        os.kill(int((tmp_path / "stack/deliver.ready").read_text()), signal.SIGKILL)
        assert running.process.wait(60) == 1
        assert "The deliver process ended by itself" in running.said()
        assert_nothing_is_left(tmp_path, 0)


def test_worker_that_does_not_start_says_why(tmp_path: Path) -> None:
    with started(tmp_path, "up", "--dir", str(tmp_path / "stack"), model="/no/such/model") as running:
        assert running.process.wait(60) == 1
        assert "/no/such/model" in running.said()
        assert_nothing_is_left(tmp_path, 0)
