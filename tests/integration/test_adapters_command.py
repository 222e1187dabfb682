"""`sluice adapters` on a real Redis and a store in a folder, as ops run it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis
from sluice_processes import ran, until

from sluice_schemas.adapter import BASE, AdapterRecord
from sluice_worker.adapters import artefacts, shadow, status
from sluice_worker.adapters.redis_registry import RedisAdapterRegistry
from sluice_worker.adapters.status import WorkerStatus
from sluice_worker.client import SLUICE
from sluice_worker.engine import model_folder
from sluice_worker.engine.adapters import CONFIG, WEIGHTS, check

NEWS = "news/entities-en@1"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(redis: Redis, redis_url: str, tmp_path: Path) -> Command:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return ran(redis_url, "adapters", *arguments, SLUICE_ADAPTERS_URL=f"file://{tmp_path}/store")

    return run


@pytest.fixture
def registry(redis: Redis) -> RedisAdapterRegistry:
    return RedisAdapterRegistry(redis)


def adapter(folder: Path, *, rank: int = 4) -> Path:
    folder.mkdir()
    (folder / CONFIG).write_bytes(orjson.dumps({"peft_type": "LORA", "r": rank}))
    (folder / WEIGHTS).write_bytes(folder.name.encode() * 1000)
    return folder


def known(registry: RedisAdapterRegistry, digest: str, **more: Any) -> str:
    fields = {"digest": digest, "model": "m@1", "uri": "file:///x", "made_at": time.time(), "rank": 4, "size_bytes": 1}
    registry.register(AdapterRecord.of({**fields, **more}))
    return digest


@contextmanager
def following(redis: Redis, name: str, *, after_s: float, faults: dict[str, str] | None = None) -> Iterator[None]:
    """A worker that serves what the aliases say so long after they say it; with faults it serves the base for ever."""
    stopped, registry = threading.Event(), RedisAdapterRegistry(redis)
    serves: dict[str, str] = {}

    def loop() -> None:
        while not stopped.is_set():
            status.write(redis, WorkerStatus(name, {**serves}, [], faults or {}))
            wanted = {scope: each.champion for scope, each in registry.aliases().items()}
            if stopped.wait(after_s if wanted != serves else 0.05):
                return
            serves.update(dict.fromkeys(wanted, BASE) if faults else wanted)

    thread = threading.Thread(target=loop)
    thread.start()
    until(lambda: any(each.worker == name for each in status.read(redis)))
    yield
    stopped.set()
    thread.join()
    redis.delete(status.KEY + name)


def in_terminal(url: str, *arguments: str) -> str:
    """What a terminal of 80 columns shows of it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "SLUICE_REDIS_URL": url, "NO_COLOR": "1", "TERM": "dumb"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen([*SLUICE, "adapters", *arguments], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    while True:
        try:
            said += (piece := os.read(ours, 4096))
        except OSError:  # what Linux says when the other side is closed
            break
        if not piece:
            break
    os.close(ours)
    assert process.wait(60) == 0, said
    return said.decode().replace("\r", "")


def test_an_adapter_from_its_folder_to_its_end(
    command: Command, registry: RedisAdapterRegistry, tmp_path: Path
) -> None:
    digest = check(adapter(tmp_path / "one", rank=8), max_rank=64)
    added = command("add", str(tmp_path / "one"), "--note", "by hand")
    assert (added.returncode, added.stderr) == (0, "")
    record = registry.record(digest)
    model = model_folder.resolve("sluice-tiny")
    assert (record.rank, record.note, record.model) == (8, "by hand", f"sluice-tiny@{model_folder.digest(model)}")
    assert record.size_bytes == sum((tmp_path / "one" / name).stat().st_size for name in (CONFIG, WEIGHTS))
    assert artefacts.fetch(record.uri, digest, tmp_path / "cache", max_rank=64).is_dir()
    assert command("add", str(tmp_path / "one")).returncode == 0, "again is no error"

    promoted = command("promote", digest[:8])
    assert promoted.returncode == 0
    assert (
        promoted.stdout
        == f"* is served by {digest}; before it, base.\nNo worker is live; the next to start serves it.\n"
    )
    (move, *_) = [each for each in registry.history() if each.alias == "champion"]
    assert move.by.startswith("person:")
    named = command("remove", digest)
    assert (named.returncode, "has a name" in named.stderr) == (1, True)
    assert command("promote", BASE, "--no-wait").returncode == 0
    assert command("promote", BASE, "--scope", NEWS, "--no-wait").returncode == 0
    known(registry, "c" * 20)
    command("promote", "cccc", "--no-wait")
    assert command("remove", digest).returncode == 0
    assert [each.digest for each in registry.records()] == ["c" * 20]


def test_what_is_wrong_is_told_in_one_line(command: Command, registry: RedisAdapterRegistry, tmp_path: Path) -> None:
    for digest in ("abcd" + "0" * 16, "abcd" + "1" * 16):
        known(registry, digest)
    registry.promote("*", "abcd" + "0" * 16, by="x")
    registry.pin("*", by="x")
    high = str(adapter(tmp_path / "high", rank=128))
    for arguments, said in (
        (("promote", "abcd"), "2 adapters begin with abcd"),
        (("promote", "abc"), "no adapter 'abc'"),
        (("promote", "abcd1"), "pinned"),
        (("promote", BASE, "--scope", "own/misspelt@1"), "schemas list"),
        (("candidate", "ffff"), "no adapter"),
        (("rollback", "--scope", NEWS), "Nothing served"),
        (("add", high), "SLUICE_ADAPTER_RANK"),
        (("add", str(tmp_path)), "is no adapter"),
    ):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert said in done.stderr
    assert not (tmp_path / "store").exists()
    assert command("promote", "abcd1", "--force", "--no-wait").returncode == 0
    assert command("unpin").returncode == 0
    assert not registry.aliases()["*"].is_pinned


def test_a_promotion_waits_for_every_worker(command: Command, redis: Redis, registry: RedisAdapterRegistry) -> None:
    for digest in ("a" * 20, "b" * 20):
        known(registry, digest)
    registry.promote("*", "a" * 20, by="x")
    with following(redis, "quick", after_s=0.1), following(redis, "slow", after_s=2.0):
        until(lambda: all(each.serves == {"*": "a" * 20} for each in status.read(redis)))
        done = command("promote", "bbbb")
        assert (done.returncode, done.stderr) == (0, "")
        said, first, second = done.stdout.splitlines()
        assert said == f"* is served by {'b' * 20}; before it, {'a' * 20}."
        assert (first.split()[0], second.split()[0]) == ("quick", "slow")
        back = command("rollback")
        assert (back.returncode, back.stdout.count("follows")) == (0, 2)
        assert registry.aliases()["*"].champion == "a" * 20


def test_a_worker_that_cannot_follow_is_told(command: Command, redis: Redis, registry: RedisAdapterRegistry) -> None:
    broken = known(registry, "a" * 20)
    with following(redis, "broken", after_s=0.1, faults={broken: "Its weights are cut off."}):
        started = time.monotonic()
        done = command("promote", broken)
        assert time.monotonic() - started > 10
    assert done.returncode == 1
    assert done.stderr == "error: broken does not follow: Its weights are cut off.\n"


def test_the_list_is_for_people_and_for_programs(
    command: Command, redis: Redis, redis_url: str, registry: RedisAdapterRegistry
) -> None:
    assert command("list").stdout == ""
    assert "sluice retrain" in in_terminal(redis_url, "list")
    champion, tried = known(registry, "a" * 20, note="\x1b[31mred"), "b" * 20
    known(registry, tried, run_id="20261127-184512-a1b2c3", scores={"champion": 0.7, "challenger": 0.75}, scope=NEWS)
    registry.promote("*", champion, by="run:1")
    assert command("candidate", tried, "--share", "0.25").returncode == 0
    command("pin")
    redis.hset(shadow.KEY + tried, mapping={"documents": 1200, "agreed": 7, "only_champion": 2, "only_candidate": 3})
    workers = (
        WorkerStatus("w1", {"*": champion}, [champion]),
        WorkerStatus("w2", {"*": BASE}, [], {champion: "It is cut off."}),
    )
    for each in workers:  # for as long as the test takes, however busy the machine
        redis.set(status.KEY + each.worker, orjson.dumps(asdict(each)))

    lines = [orjson.loads(line) for line in command("list").stdout.splitlines()]
    assert [each["kind"] for each in lines] == ["scope", "adapter", "adapter", "worker", "worker"]
    assert (lines[0]["champion"], lines[0]["shadow_share"], lines[0]["is_pinned"]) == (champion, 0.25, True)
    assert lines[0]["shadow"]["documents"] == 1200
    assert lines[4]["faults"] == {champion: "It is cut off."}

    shown = in_terminal(redis_url, "list")
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    flat = " ".join(shown.split())
    for expected in (
        f"* {champion[:12]} base {tried[:12]} 25% yes",
        "champion 0.700,",
        "challenger 0.750",
        "1,200 documents, 0 failed. Facts: 7 of both, 2 of the champion alone, 3 of the candidate alone.",
        f"w2 cannot serve {champion[:12]}: It is cut off.",
        "1 of 2 live workers follow.",
    ):
        assert expected in flat
    history = " ".join(in_terminal(redis_url, "list", "--history").split())
    assert f"champion base to {champion[:12]} run:1" in history
    assert f"candidate - to {tried[:12]}, 25% of" in history
    told = orjson.loads(command("show", tried).stdout)
    assert (told["names"], told["shadow"]["only_candidate"]) == ({"*": ["candidate"]}, 3)
    assert orjson.loads(command("show", champion).stdout)["faults"] == {"w2": "It is cut off."}
    assert command("candidate", "none").stdout == "* has no candidate.\n"
