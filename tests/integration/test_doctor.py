"""`sluice doctor`: a line for each thing, and for each fault what to do."""

import subprocess
from pathlib import Path

import pytest
from delivery_stage import SECRET
from ledger_stage import endpoint
from redis import Redis
from redis_server import RedisServer
from sluice_processes import started

from sluice_worker.ledger import RedisOutbox

ALL = ["python", "sluice-ke", "celery", "kombu", "redis", "torch", "transformers", "settings"]
ALL += [
    "redis version",
    "redis eviction",
    "redis append-only",
    "redis fsync",
    "redis memory",
    "clock",
    "model",
    "engine",
    "endpoints",
]


def examined(folder: Path, **settings: str) -> tuple[int, list[str]]:
    with started(folder, "doctor", **settings) as doctor:
        try:
            code = doctor.process.wait(90)
        except subprocess.TimeoutExpired:
            pytest.fail(doctor.said())
        return code, doctor.said().splitlines()


def names(lines: list[str], mark: str) -> list[str]:
    return [line[6:24].strip() for line in lines if line.startswith(mark)]


def test_all_well(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    code, lines = examined(tmp_path, redis_url=redis_url)
    assert names(lines, "ok") == ALL
    assert len(lines) == len(ALL)
    assert code == 0


# The settings, which lines fail, and what is said to do.
FAULTS = [
    pytest.param(
        {"redis_url": "redis://127.0.0.1:1/0"}, ["redis"], "Start it, or set SLUICE_REDIS_URL.", id="no Redis"
    ),
    pytest.param({"redis_url": "redis+cluster://x"}, ["redis"], "must start with redis://", id="cluster"),
    pytest.param({"redis_url": "redis://x:y"}, ["redis"], "redis://host:6379/0", id="no URL"),
    pytest.param({"model": "/none"}, ["model"], "Set SLUICE_MODEL to a folder", id="no model"),
    pytest.param({"lease": "1"}, ["settings"], "No such setting: SLUICE_LEASE.", id="unknown setting"),
    pytest.param({"device": "cuda"}, ["engine"], "torch sees no GPU", id="no GPU"),
    pytest.param({"dtype": "float16"}, ["settings"], "bfloat16", id="fp16"),
    pytest.param({"link_url": "https://x.example"}, ["endpoints"], "SLUICE_LINK_SECRET", id="half of two settings"),
    # Every fault is told at once.
    pytest.param({"model": "/none", "redis_url": "redis://x:y"}, ["redis", "model"], "SLUICE_MODEL", id="two faults"),
]


@pytest.mark.parametrize(("settings", "failing", "said"), FAULTS)
def test_fault(
    redis: Redis, redis_url: str, tmp_path: Path, settings: dict[str, str], failing: list[str], said: str
) -> None:
    code, lines = examined(tmp_path, **{"redis_url": redis_url, **settings})
    assert code == 1
    assert names(lines, "FAIL") == failing
    assert said in " ".join(line.strip() for line in lines)
    assert "Traceback" not in "".join(lines)
    assert max(map(len, lines)) <= 80


def test_redis_with_wrong_settings(own_redis: RedisServer, tmp_path: Path) -> None:
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        redis.config_set("appendonly", "no")
        redis.config_set("maxmemory", 1)
    code, lines = examined(tmp_path, redis_url=own_redis.url)
    assert code == 1
    assert names(lines, "FAIL") == ["redis eviction", "redis append-only", "redis memory"]
    assert "Set `maxmemory-policy noeviction`" in "".join(lines)


def test_endpoints_are_looked_at_one_by_one(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    outbox = RedisOutbox(redis)
    for name in ("gone", "kb", "mute"):
        outbox.add_endpoint(endpoint(name))
    outbox.pause_endpoint("kb")
    redis.hset("{sluice}:endpoint:gone", mapping={"state": "disabled", "reason": "The receiver answered 410."})
    code, lines = examined(tmp_path, redis_url=redis_url, secret_kb=SECRET, secret_gone=SECRET)
    assert code == 1
    assert [line.split(None, 1)[1].split("  ")[0] for line in lines if line.startswith("FAIL")] == [
        "endpoint gone",
        "endpoint mute",
    ]
    said = " ".join(line.strip() for line in lines)
    assert "sluice endpoints resume gone" in said
    assert "Set SLUICE_SECRET_MUTE" in said
