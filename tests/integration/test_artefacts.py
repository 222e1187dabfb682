"""Adapters in a folder and in S3: fetched whole and as their name says, or not at all."""

import multiprocessing
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from sluice_schemas.errors import BadInput, Misconfigured, Unavailable
from sluice_worker.adapters import artefacts
from sluice_worker.engine.adapters import CONFIG, WEIGHTS, check

Damage = Callable[[Path], None]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / CONFIG).write_bytes(orjson.dumps({"peft_type": "LORA", "r": 4}))
    (folder / WEIGHTS).write_bytes(bytes(range(256)) * 40)
    # What lies beside an adapter is none of it.
    (folder / "optimizer.pt").write_bytes(b"\x80\x04 a pickle")
    return folder


@pytest.fixture
def digest(adapter: Path) -> str:
    return check(adapter, max_rank=64)


def fetched(uri: str, digest: str, cache: Path, **options: str) -> Path:
    return artefacts.fetch(uri, digest, cache, max_rank=64, **options)


def kept(cache: Path) -> list[str]:
    return [each.name for each in cache.iterdir() if each.suffix != ".lock"]


@contextmanager
def little_room(size_bytes: int) -> Iterator[None]:
    """No file may grow over this: the disk is full, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def cut(name: str, size: int) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return damage


def flipped(name: str) -> Damage:
    def damage(folder: Path) -> None:
        raw = bytearray((folder / name).read_bytes())
        raw[len(raw) // 2] ^= 1
        (folder / name).write_bytes(raw)

    return damage


def longer(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"more")


def renamed(folder: Path) -> None:
    """A manifest that would have another file written."""
    manifest = orjson.loads((folder / artefacts.MANIFEST).read_bytes())
    manifest["files"]["../../evil.py"] = manifest["files"].pop(CONFIG)
    (folder / artefacts.MANIFEST).write_bytes(orjson.dumps(manifest))


def foreign(folder: Path) -> None:
    """The manifest of another adapter."""
    manifest = orjson.loads((folder / artefacts.MANIFEST).read_bytes())
    (folder / artefacts.MANIFEST).write_bytes(orjson.dumps(manifest | {"digest": "f" * 20}))


def huge(folder: Path) -> None:
    """A manifest that would fill the disk."""
    manifest = orjson.loads((folder / artefacts.MANIFEST).read_bytes())
    manifest["files"][WEIGHTS]["size_bytes"] = 1 << 40
    (folder / artefacts.MANIFEST).write_bytes(orjson.dumps(manifest))


def retold(folder: Path) -> None:
    """Other weights under a manifest that agrees with them: the name alone tells."""
    (folder / WEIGHTS).write_bytes(b"other weights")
    described = artefacts._described(folder / WEIGHTS)
    manifest = orjson.loads((folder / artefacts.MANIFEST).read_bytes())
    manifest["files"][WEIGHTS] = described.model_dump()
    (folder / artefacts.MANIFEST).write_bytes(orjson.dumps(manifest))


DAMAGES = {
    "weights empty": (cut(WEIGHTS, 0), "cut off"),
    "weights cut": (cut(WEIGHTS, 5000), "cut off"),
    "weights cut by a byte": (cut(WEIGHTS, 10239), "cut off"),
    "a bit flipped": (flipped(WEIGHTS), "damaged"),
    "config empty": (cut(CONFIG, 0), "cut off"),
    "config cut": (cut(CONFIG, 20), "cut off"),
    "config missing": (lambda folder: (folder / CONFIG).unlink(), "missing"),
    "config flipped": (flipped(CONFIG), "damaged"),
    "weights longer": (longer, "longer"),
    "weights missing": (lambda folder: (folder / WEIGHTS).unlink(), "missing"),
    "no manifest": (lambda folder: (folder / artefacts.MANIFEST).unlink(), "no manifest"),
    "manifest empty": (cut(artefacts.MANIFEST, 0), "damaged"),
    "manifest is no JSON": (lambda folder: (folder / artefacts.MANIFEST).write_bytes(b"\xff"), "damaged"),
    "manifest of another": (foreign, "is of adapter f"),
    "manifest of a terabyte": (huge, "over 4 GiB"),
    "manifest cut": (cut(artefacts.MANIFEST, 40), "damaged"),
    "manifest names other files": (renamed, "other files"),
    "other weights, agreed": (retold, "not"),
    "all gone": (lambda folder: shutil.rmtree(folder), "no adapter at"),
}


def test_what_was_published_is_fetched(adapter: Path, digest: str, tmp_path: Path) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    assert artefacts.publish(adapter, f"file://{tmp_path / 'store'}/", digest) == uri
    folder = fetched(uri, digest, tmp_path / "cache")
    assert sorted(each.name for each in folder.iterdir()) == sorted([CONFIG, WEIGHTS])
    assert check(folder, max_rank=64) == digest
    assert kept(tmp_path / "cache") == [digest]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_store_is_told_and_leaves_nothing(adapter: Path, digest: str, tmp_path: Path, kind: str) -> None:
    damage, said = DAMAGES[kind]
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    damage(tmp_path / "store" / digest)
    with pytest.raises(Misconfigured, match=said):
        fetched(uri, digest, tmp_path / "cache")
    assert kept(tmp_path / "cache") == []
    assert not [*tmp_path.rglob("evil.py")]
    artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    assert fetched(uri, digest, tmp_path / "cache").is_dir()


@pytest.mark.parametrize("damage", [cut(WEIGHTS, 100), flipped(WEIGHTS), lambda folder: (folder / CONFIG).unlink()])
def test_a_damaged_copy_is_fetched_anew(adapter: Path, digest: str, tmp_path: Path, damage: Damage) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    damage(fetched(uri, digest, tmp_path / "cache"))
    assert check(fetched(uri, digest, tmp_path / "cache"), max_rank=64) == digest


def test_a_whole_copy_needs_no_store(adapter: Path, digest: str, tmp_path: Path) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    folder = fetched(uri, digest, tmp_path / "cache")
    shutil.rmtree(tmp_path / "store")
    assert fetched(uri, digest, tmp_path / "cache") == folder


def test_a_copy_that_nobody_may_change_is_read(adapter: Path, digest: str, tmp_path: Path) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    shutil.copytree(tmp_path / "store" / digest, tmp_path / "cache" / digest)
    assert fetched(uri, digest, tmp_path / "cache").is_dir()
    assert kept(tmp_path / "cache") == [each.name for each in (tmp_path / "cache").iterdir()], "nothing was written"


def test_what_a_killed_fetch_left_is_cleared(adapter: Path, digest: str, tmp_path: Path) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    left = tmp_path / "cache" / f".{digest}.abc.part" / digest
    left.mkdir(parents=True)
    (left / WEIGHTS).write_bytes(b"half")
    (tmp_path / "cache" / digest).write_bytes(b"a file where the folder should be")
    fetched(uri, digest, tmp_path / "cache")
    assert kept(tmp_path / "cache") == [digest]


def test_a_full_disk_is_told_and_leaves_nothing(adapter: Path, digest: str, tmp_path: Path) -> None:
    root = f"file://{tmp_path / 'store'}"
    with little_room(5000), pytest.raises(Unavailable, match="no room"):
        artefacts.publish(adapter, root, digest)
    with pytest.raises(Misconfigured, match="no manifest"):
        fetched(f"{root}/{digest}", digest, tmp_path / "cache")
    assert [each.name for each in (tmp_path / "store" / digest).iterdir()] == [CONFIG]
    uri = artefacts.publish(adapter, root, digest)
    with little_room(5000), pytest.raises(Unavailable, match="no room"):
        fetched(uri, digest, tmp_path / "cache")
    assert kept(tmp_path / "cache") == []
    assert fetched(uri, digest, tmp_path / "cache").is_dir()


def test_what_is_whole_is_not_written_again(adapter: Path, digest: str, tmp_path: Path) -> None:
    root = f"file://{tmp_path / 'store'}"
    artefacts.publish(adapter, root, digest)
    weights, config = (tmp_path / "store" / digest / name for name in (WEIGHTS, CONFIG))
    before = weights.stat().st_ino
    flipped(CONFIG)(tmp_path / "store" / digest)
    artefacts.publish(adapter, root, digest)
    assert weights.stat().st_ino == before
    assert config.read_bytes() == (adapter / CONFIG).read_bytes()


def test_only_the_adapter_itself_is_published(adapter: Path, digest: str, tmp_path: Path) -> None:
    flipped(WEIGHTS)(adapter)
    with pytest.raises(Misconfigured, match="was changed"):
        artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    for wrong in ("../../etc", "A" * 20, ""):
        with pytest.raises(BadInput, match="twenty hex"):
            fetched(f"file://{tmp_path}", wrong, tmp_path / "cache")


def test_a_rank_over_the_limit_is_told_at_each_fetch(adapter: Path, digest: str, tmp_path: Path) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    for _ in range(2):
        with pytest.raises(Misconfigured, match="SLUICE_ADAPTER_RANK"):
            artefacts.fetch(uri, digest, tmp_path / "cache", max_rank=2)
        shutil.rmtree(tmp_path / "store", ignore_errors=True)  # it was fetched once


def test_a_relative_place_is_below_the_working_directory(
    adapter: Path, digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = artefacts.publish(adapter, "file://my store/überall", digest)
    assert uri == f"file://{tmp_path}/my store/überall/{digest}"
    monkeypatch.chdir("/")
    assert fetched(uri, digest, tmp_path / "cache").is_dir()


def test_many_processes_fetch_at_once(adapter: Path, digest: str, tmp_path: Path) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    cache = tmp_path / "cache"
    fetch = partial(artefacts.fetch, uri, digest, cache, max_rank=64)
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for damage in (None, flipped(WEIGHTS), cut(WEIGHTS, 9)):
            if damage:
                damage(cache / digest)
            asked = [pool.submit(fetch) for _ in range(12)]
            assert {each.result(60) for each in asked} == {cache / digest}
            assert check(cache / digest, max_rank=64) == digest
    assert kept(cache) == [digest]


def test_many_fetch_at_once(adapter: Path, digest: str, tmp_path: Path) -> None:
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: fetched(uri, digest, tmp_path / "cache"), range(16))]
    assert {*found} == {tmp_path / "cache" / digest}
    assert check(found[0], max_rank=64) == digest


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "memory://x", "zip://x::file:///etc", "x"])
def test_other_stores_are_refused(adapter: Path, digest: str, tmp_path: Path, url: str) -> None:
    with pytest.raises(Misconfigured, match="s3"):
        artefacts.publish(adapter, url, digest)
    with pytest.raises(Misconfigured, match="s3"):
        fetched(url, digest, tmp_path / "cache")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.mark.usefixtures("keys")
class TestS3:
    def test_round_trip_and_damage(self, adapter: Path, digest: str, tmp_path: Path, endpoint: str) -> None:
        store = s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True, use_listings_cache=False)
        store.mkdir("adapters")
        uri = artefacts.publish(adapter, "s3://adapters/own/", digest, endpoint_url=endpoint)
        assert uri == f"s3://adapters/own/{digest}"
        assert artefacts.publish(adapter, "s3://adapters/own", digest, endpoint_url=endpoint) == uri
        assert check(fetched(uri, digest, tmp_path / "cache", endpoint_url=endpoint), max_rank=64) == digest
        store.pipe_file(f"adapters/own/{digest}/{WEIGHTS}", b"cut")
        with pytest.raises(Misconfigured, match="cut off"):
            fetched(uri, digest, tmp_path / "other", endpoint_url=endpoint)
        artefacts.publish(adapter, "s3://adapters/own", digest, endpoint_url=endpoint)
        assert fetched(uri, digest, tmp_path / "healed", endpoint_url=endpoint).is_dir()
        store.rm(f"adapters/own/{digest}/{artefacts.MANIFEST}")
        with pytest.raises(Misconfigured, match="no manifest"):
            fetched(uri, digest, tmp_path / "other", endpoint_url=endpoint)
        assert kept(tmp_path / "other") == []

    def test_the_environment_names_the_endpoint(
        self, adapter: Path, digest: str, tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("named")
        assert fetched(artefacts.publish(adapter, "s3://named", digest), digest, tmp_path / "cache").is_dir()

    def test_a_bucket_that_is_not_there_is_not_made(self, adapter: Path, digest: str, endpoint: str) -> None:
        for _ in range(2):
            with pytest.raises(Misconfigured, match="no store at s3://misspelt"):
                artefacts.publish(adapter, "s3://misspelt", digest, endpoint_url=endpoint)

    def test_a_store_that_is_not_there(self, adapter: Path, digest: str, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="does not answer"):
            fetched("s3://adapters/x", digest, tmp_path / "cache", endpoint_url="http://127.0.0.1:9")


def test_no_credentials_are_told(
    adapter: Path, digest: str, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(Misconfigured, match="AWS_ACCESS_KEY_ID"):
        artefacts.publish(adapter, "s3://adapters", digest, endpoint_url=endpoint)
