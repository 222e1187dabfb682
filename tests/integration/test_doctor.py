"""`sluice doctor`: a line for each thing, and for each fault what to do."""

import subprocess
from pathlib import Path

import pytest
from redis import Redis
from redis_server import RedisServer
from sluice_processes import started

ALL = ["python", "sluice-ke", "celery", "kombu", "redis", "torch", "transformers", "settings"]
ALL += ["redis version", "redis eviction", "redis append-only", "redis fsync", "model", "engine", "endpoints"]


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
    pytest.param({"dtype": "float16"}, ["settings"], "bfloat16", id="fp16"),
    pytest.param(
        {"endpoints": '{"kb": {"url": "https://kb.example"}}'}, ["endpoints"], "SLUICE_SECRET_KB", id="no secret"
    ),
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
    code, lines = examined(tmp_path, redis_url=own_redis.url)
    assert code == 1
    assert names(lines, "FAIL") == ["redis eviction", "redis append-only"]
    assert "Set `maxmemory-policy noeviction`" in "".join(lines)
