"""Adapters in a folder and in S3: fetched whole and as their name says, or not at all."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from moto.server import ThreadedMotoServer

from sluice_schemas.errors import Misconfigured, Unavailable
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
    "config flipped": (flipped(CONFIG), "damaged"),
    "weights longer": (longer, "longer"),
    "weights missing": (lambda folder: (folder / WEIGHTS).unlink(), "missing"),
    "no manifest": (lambda folder: (folder / artefacts.MANIFEST).unlink(), "no manifest"),
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
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [digest]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_store_is_told_and_leaves_nothing(adapter: Path, digest: str, tmp_path: Path, kind: str) -> None:
    damage, said = DAMAGES[kind]
    uri = artefacts.publish(adapter, f"file://{tmp_path / 'store'}", digest)
    damage(tmp_path / "store" / digest)
    with pytest.raises(Misconfigured, match=said):
        fetched(uri, digest, tmp_path / "cache")
    assert [*(tmp_path / "cache").iterdir()] == []
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


class TestS3:
    @pytest.fixture(autouse=True)
    def credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def test_round_trip_and_damage(self, adapter: Path, digest: str, tmp_path: Path, endpoint: str) -> None:
        import s3fs

        store = s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True)
        store.mkdir("adapters")
        uri = artefacts.publish(adapter, "s3://adapters/own", digest, endpoint_url=endpoint)
        assert uri == f"s3://adapters/own/{digest}"
        assert check(fetched(uri, digest, tmp_path / "cache", endpoint_url=endpoint), max_rank=64) == digest
        store.pipe_file(f"adapters/own/{digest}/{WEIGHTS}", b"cut")
        with pytest.raises(Misconfigured, match="cut off"):
            fetched(uri, digest, tmp_path / "other", endpoint_url=endpoint)
        store.rm(f"adapters/own/{digest}/{artefacts.MANIFEST}")
        with pytest.raises(Misconfigured, match="no manifest"):
            fetched(uri, digest, tmp_path / "other", endpoint_url=endpoint)

    def test_a_store_that_is_not_there(self, adapter: Path, digest: str, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="does not answer"):
            fetched("s3://adapters/x", digest, tmp_path / "cache", endpoint_url="http://127.0.0.1:9")
