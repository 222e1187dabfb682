"""`sluice retrain` and `sluice runs` as people and scripts use them."""

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from redis import Redis
from sluice_processes import ran, started, until

from sluice_schemas.queues import TRAIN_PREFIX, TRAIN_QUEUE
from sluice_schemas.sql import database
from sluice_worker.client import SLUICE
from sluice_worker.learning.run_store import RunStore

pytestmark = pytest.mark.timeout(300)

NO_REDIS = "redis://127.0.0.1:1/0"
"""Whoever looks at runs needs none."""


@pytest.fixture
def labels_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'labels.db'}"


@pytest.fixture
def store(labels_url: str) -> Iterator[RunStore]:
    engine = database.connect(labels_url)
    yield RunStore(engine)
    engine.dispose()


def promoted(store: RunStore) -> str:
    run = store.create("*", cause="count")
    claim = store.claim("host:1", lease_s=60.0)
    assert claim is not None
    store.took_snapshot(claim, upto_label=7, digest="f00d")
    for name in ("snapshot", "train"):
        store.begin_step(claim, name)
        store.say(claim, f"{name} ...")
        store.end_step(claim, name, {"train": 40, "losses": [[1, 0.5]]})
    store.end(claim, "promoted", reason="F1 rises by 12.3 points.", adapter="a" * 20)
    return run.id


def on_terminal(labels_url: str, *words: str) -> str:
    """What a terminal of 80 columns shows."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "SLUICE_LABELS_URL": labels_url, "COLUMNS": "80", "LINES": "24", "TERM": "dumb"}
    done = subprocess.Popen([*SLUICE, *words], env=environment, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            if not (piece := os.read(leader, 4096)):
                break
        except OSError:  # the other side is closed
            break
        shown += piece
    os.close(leader)
    assert done.wait(30) == 0
    return shown.decode()


def test_a_run_is_queued_once_and_its_doorbell_rings(
    redis: Redis, redis_url: str, labels_url: str, store: RunStore
) -> None:
    first = ran(redis_url, "retrain", "--full", SLUICE_LABELS_URL=labels_url)
    assert first.returncode == 0, first.stderr
    (run,) = store.latest()
    assert first.stdout == f"{run.id} queued\n"
    assert (run.scope, run.cause, run.is_full) == ("*", "asked", True)
    assert redis.llen(TRAIN_PREFIX + TRAIN_QUEUE) == 1
    again = ran(redis_url, "retrain", SLUICE_LABELS_URL=labels_url)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert run.id in again.stderr
    unknown = ran(redis_url, "retrain", "--scope", "news/entitis-en@1", SLUICE_LABELS_URL=labels_url)
    assert unknown.returncode == 1
    assert "news/entities-en@1" in unknown.stderr
    scoped = ran(redis_url, "retrain", "--scope", "news/entities-en@1", SLUICE_LABELS_URL=labels_url)
    assert scoped.returncode == 0


def test_runs_are_shown_to_people_and_to_scripts(labels_url: str, store: RunStore) -> None:
    assert "sluice retrain" in on_terminal(labels_url, "runs", "list")
    run_id = promoted(store)
    shown = on_terminal(labels_url, "runs", "list")
    assert max(map(len, shown.splitlines())) <= 80
    for told in (run_id, "promoted", "count", "12.3"):
        assert told in shown
    listed = ran(NO_REDIS, "runs", "list", SLUICE_LABELS_URL=labels_url)
    assert [orjson.loads(line)["id"] for line in listed.stdout.splitlines()] == [run_id]
    plain = ran(NO_REDIS, "runs", "show", run_id, SLUICE_LABELS_URL=labels_url).stdout
    assert "snapshot  f00d" in plain
    assert "train 40" in plain
    assert "losses" not in plain
    whole = ran(NO_REDIS, "runs", "show", run_id, "--json", SLUICE_LABELS_URL=labels_url).stdout
    assert orjson.loads(whole)["steps"][1]["detail"]["losses"] == [[1, 0.5]]
    lines = ran(NO_REDIS, "runs", "log", run_id, SLUICE_LABELS_URL=labels_url).stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in lines][:2] == ["snapshot ...", "train ..."]
    nobody = ran(NO_REDIS, "runs", "show", "nobody", SLUICE_LABELS_URL=labels_url)
    assert (nobody.returncode, "runs list" in nobody.stderr) == (1, True)


def test_a_run_is_followed_to_its_end_and_cancelled(labels_url: str, store: RunStore, tmp_path: Path) -> None:
    run = store.create("*", cause="asked")
    settings = {"redis_url": NO_REDIS, "labels_url": labels_url}
    with started(tmp_path, "runs", "log", run.id, "--follow", **settings) as following:
        claim = store.claim("host:1", lease_s=60.0)
        assert claim is not None
        store.say(claim, "snapshot ...")
        until(lambda: "snapshot ..." in following.said())
        cancelled = ran(NO_REDIS, "runs", "cancel", run.id, SLUICE_LABELS_URL=labels_url)
        assert cancelled.stdout == f"{run.id} cancelled\n"
        assert following.process.wait(30) == 1
        assert "cancelled: It was cancelled." in following.said()
    promoted_id = promoted(store)
    assert ran(NO_REDIS, "runs", "log", promoted_id, "-f", SLUICE_LABELS_URL=labels_url).returncode == 0
