"""Workers as processes follow the aliases while documents run: nothing fails, nothing is done twice, all is named."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import tiny_adapters
from redis import Redis
from sluice_processes import until
from traffic_stage import Traffic
from worker_site import NEWS, SENTENCE, Site

from sluice_schemas.adapter import BASE, AdapterRecord
from sluice_schemas.extraction import Extraction
from sluice_worker.adapters import artefacts, status
from sluice_worker.adapters.redis_registry import RedisAdapterRegistry
from sluice_worker.engine import model_folder
from sluice_worker.engine.adapters import check

pytestmark = pytest.mark.timeout(300)

FOLLOW_S = 10.0
MODEL = model_folder.resolve("sluice-tiny")
NAME = f"{MODEL.name}@{model_folder.digest(MODEL)}"


@pytest.fixture
def site(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(redis_url, tmp_path)
    yield site
    site.client.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("adapters")
    return [tiny_adapters.make(MODEL, root / str(seed), seed=seed) for seed in (1, 2)]


def registered(registry: RedisAdapterRegistry, folder: Path, root: Path) -> str:
    digest = check(folder, max_rank=64)
    uri = artefacts.publish(folder, f"file://{root}", digest)
    registry.register(
        AdapterRecord(digest=digest, model=NAME, uri=uri, made_at=time.time(), rank=tiny_adapters.RANK, size_bytes=1)
    )
    return digest


def said(extraction: Extraction) -> object:
    return [(each.text, each.type, each.span) for each in extraction.entities]


def test_every_worker_follows_while_documents_run(
    site: Site, redis: Redis, folders: list[Path], tmp_path: Path
) -> None:
    registry = RedisAdapterRegistry(redis)
    first, second = (registered(registry, folder, tmp_path / "store") for folder in folders)

    def follow(digest: str) -> None:
        begun = time.monotonic()
        until(lambda: [each.serves.get("*", BASE) for each in status.read(redis)] == [digest] * 2, FOLLOW_S)
        assert time.monotonic() - begun < FOLLOW_S

    def read() -> Extraction:
        return site.client.result(site.submit(), timeout_s=60)

    with ExitStack() as open_:
        for number in range(2):
            cache = str(tmp_path / f"cache{number}")
            open_.enter_context(site.worker(adapters_cache=cache, follow_every_s="0.5")).await_ready()
        before = read()
        assert before.adapter is None
        coming = Traffic(site.client, NEWS, [SENTENCE * 3, SENTENCE], every_s=0.2)
        coming.start()
        for digest in (first, second):
            registry.promote("*", digest, by="test")
            follow(digest)
            assert read().adapter == digest
        assert said(read()) != said(before)
        registry.promote("*", BASE, by="test")
        follow(BASE)
        assert said(read()) == said(before)
        seen = coming.stop()
        # A cut adapter: what serves goes on, and whoever asks is told why.
        weights = tmp_path / "store" / first / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        for copies in tmp_path.glob("cache*"):
            (copies / first / weights.name).write_bytes(b"damaged as well")
        registry.promote("*", first, by="test")
        until(lambda: all(first in each.faults for each in status.read(redis)), FOLLOW_S)
        assert (read().adapter, said(read())) == (None, said(before))
    assert [each.job.state for each in seen] == ["succeeded"] * len(seen)
    assert {each.job.attempts for each in seen} == {1}
    adapters = [each.extraction.adapter for each in seen if each.extraction]
    assert len(adapters) == len(seen)
    assert {*adapters} == {None, first, second}
