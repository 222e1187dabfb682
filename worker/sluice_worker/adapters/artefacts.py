"""Adapters as files in a folder or an object store: written whole, fetched only when they are what their name says."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
import orjson
from pydantic import Field, ValidationError

from sluice_schemas.errors import Misconfigured, Unavailable
from sluice_schemas.wire import Count, Strict
from sluice_worker.engine.adapters import CONFIG, WEIGHTS, check

FILES = (CONFIG, WEIGHTS)
"""All that an adapter is. Nothing else is ever copied, whatever lies beside it."""
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 1024
MAX_BYTES = 4 << 30
"""Of one file. An adapter of OneKE at rank 64 has a quarter of a gigabyte."""
PIECE = 1 << 20


class _File(Strict):
    size_bytes: Count
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Manifest(Strict):
    """What was uploaded. It is written last: where it lies, all else does."""

    digest: str
    files: dict[str, _File]


def publish(folder: Path, root: str, digest: str, *, endpoint_url: str | None = None) -> str:
    """Copies an adapter to `root` (a URL of `file` or `s3`) under its digest; the URI to fetch it by.

    What is there already is replaced by the same. Raises `Unavailable` when the store does not take it.
    """
    store, place = _opened(root, endpoint_url)
    target = f"{place}/{digest}"
    manifest = _Manifest(digest=digest, files={name: _described(folder / name) for name in FILES})
    with _answering(root):
        store.makedirs(target, exist_ok=True)
        for name in FILES:
            store.put_file(str(folder / name), f"{target}/{name}")
        store.pipe_file(f"{target}/{MANIFEST}", manifest.model_dump_json().encode())
    return f"{urlsplit(root).scheme}://{target}"


def fetch(uri: str, digest: str, cache: Path, *, max_rank: int, endpoint_url: str | None = None) -> Path:
    """The adapter's folder below `cache`, downloaded if it is not there whole.

    Raises `Unavailable` when the store does not answer, `Misconfigured` for files that are missing, cut, foreign, or
    not those of the digest.
    """
    target = cache / digest
    if _is_whole(target, digest, max_rank):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{digest}.") as name:
        fresh = Path(name) / digest
        fresh.mkdir()
        _download(uri, digest, fresh, endpoint_url)
        if (found := check(fresh, max_rank=max_rank)) != digest:
            raise Misconfigured(f"What lies at {uri} is adapter {found}, not {digest}. Publish {digest} again.")
        _replace(fresh, target)
    return target


def _is_whole(folder: Path, digest: str, max_rank: int) -> bool:
    """A copy may have been cut by a full disk, or changed since."""
    try:
        return folder.is_dir() and check(folder, max_rank=max_rank) == digest
    except (Misconfigured, OSError):
        return False


def _download(uri: str, digest: str, folder: Path, endpoint_url: str | None) -> None:
    store, place = _opened(uri, endpoint_url)
    with _answering(uri):
        manifest = _manifest(store, place, uri)
        if manifest.digest != digest:
            raise Misconfigured(f"The manifest at {uri} is of adapter {manifest.digest}. Publish {digest} again.")
        for name, described in manifest.files.items():
            _copy(store, f"{place}/{name}", folder / name, described, uri)


def _manifest(store: Any, place: str, uri: str) -> _Manifest:
    again = "Publish the adapter again."
    try:
        raw = store.cat_file(f"{place}/{MANIFEST}", start=0, end=MAX_MANIFEST_BYTES)
    except FileNotFoundError as exc:
        raise Misconfigured(f"There is no adapter at {uri}: it has no {MANIFEST}. {again}") from exc
    try:
        manifest = _Manifest.model_validate(orjson.loads(raw))
    except (orjson.JSONDecodeError, ValidationError) as exc:
        raise Misconfigured(f"The {MANIFEST} at {uri} is damaged. {again}") from exc
    if set(manifest.files) != set(FILES):
        raise Misconfigured(f"The {MANIFEST} at {uri} names other files than {' and '.join(FILES)}. {again}")
    if any(each.size_bytes > MAX_BYTES for each in manifest.files.values()):
        raise Misconfigured(f"The adapter at {uri} has a file over {MAX_BYTES >> 30} GiB; that is no adapter.")
    return manifest


def _copy(store: Any, source: str, target: Path, described: _File, uri: str) -> None:
    """Reads no more than the manifest says, and believes it only when the digest agrees."""
    left, seen = described.size_bytes, hashlib.sha256()
    try:
        with store.open(source, "rb") as given, target.open("wb") as taken:
            while left and (piece := given.read(min(PIECE, left))):
                left -= len(piece)
                seen.update(piece)
                taken.write(piece)
            is_longer = not left and bool(given.read(1))
            taken.flush()
            os.fsync(taken.fileno())
    except FileNotFoundError as exc:
        raise Misconfigured(f"{target.name} is missing at {uri}. Publish the adapter again.") from exc
    if left or is_longer or seen.hexdigest() != described.sha256:
        fault = "cut off" if left else "longer than its manifest says" if is_longer else "damaged"
        raise Misconfigured(f"{target.name} at {uri} is {fault}. Publish the adapter again.")


def _replace(fresh: Path, target: Path) -> None:
    """Two that fetch at once leave one whole copy: each has checked its own."""
    if target.exists():
        shutil.rmtree(target, ignore_errors=True)
    try:
        fresh.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _described(path: Path) -> _File:
    with path.open("rb") as file:
        return _File(size_bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _opened(url: str, endpoint_url: str | None) -> tuple[Any, str]:
    """The file system of a URL, and the place in it without a slash at its end."""
    scheme, place = urlsplit(url).scheme, url.partition("://")[2].rstrip("/")
    if scheme == "file":
        return fsspec.filesystem("file"), os.path.abspath(place)
    if scheme != "s3":
        raise Misconfigured(f"Adapters lie in file:// or s3://, not in {scheme or 'nothing'}://. Set it so.")
    try:
        # A store that is asked again must not answer from a listing of a minute ago.
        options = {"use_listings_cache": False, "skip_instance_cache": True}
        return fsspec.filesystem("s3", endpoint_url=endpoint_url, **options), place
    except ImportError as exc:
        raise Misconfigured("Adapters in s3:// need s3fs: pip install 'sluice-ke[s3]'.") from exc


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """What a store says is told as ours; a disk that is full stays an `OSError` of that name."""
    try:
        yield
    except (Misconfigured, Unavailable):
        raise
    except PermissionError as exc:
        raise Misconfigured(f"The store of {url} refuses: check its credentials and its rights.") from exc
    except OSError as exc:
        if exc.errno is not None and exc.strerror:
            raise
        raise Unavailable(f"The store of {url} does not answer ({type(exc).__name__}). Try again later.") from exc
    except Exception as exc:  # each kind of store has errors of its own
        raise Unavailable(f"The store of {url} does not answer ({type(exc).__name__}). Try again later.") from exc
