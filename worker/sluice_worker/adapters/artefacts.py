"""Adapters as files in a folder or an object store: written whole, fetched only when they are what their name says."""

import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from pydantic import Field, ValidationError

from sluice_schemas.adapter import Digest
from sluice_schemas.errors import BadInput, Misconfigured
from sluice_schemas.wire import Count, Strict
from sluice_worker.adapters import store as stores
from sluice_worker.engine.adapters import CONFIG, WEIGHTS, check

FILES = (CONFIG, WEIGHTS)
"""All that an adapter is. Nothing else is ever copied, whatever lies beside it."""
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 1024
MAX_BYTES = 4 << 30
"""Of one file. An adapter of OneKE at rank 64 has a quarter of a gigabyte."""
PIECE = 1 << 20
ANY_RANK = sys.maxsize
AGAIN = "Publish the adapter again."


class _File(Strict):
    size_bytes: Count
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Manifest(Strict):
    """What was uploaded. It is written last: where it lies, all else does."""

    digest: Digest
    files: dict[str, _File]


def publish(folder: Path, root: str, digest: str, *, endpoint_url: str | None = None) -> str:
    """Copies an adapter to `root` (a URL of `file` or `s3`) under its digest; the URI to fetch it by.

    What is there and whole is left alone, so publishing again is no error and heals damage. Raises `Misconfigured` for
    a folder that is not this adapter and a store that is not there or refuses, `Unavailable` when it does not answer.
    """
    if (found := check(folder, max_rank=ANY_RANK)) != digest:
        raise Misconfigured(f"{folder} holds adapter {found}, not {digest[:40]}: it was changed. Train it again.")
    store, place = stores.opened(root, endpoint_url=endpoint_url)
    target = f"{place}/{digest}"
    manifest = _Manifest(digest=digest, files={name: _described(folder / name) for name in FILES})
    try:
        with stores.answering(root):
            if "file" in store.protocol:  # on S3 it would make a bucket of a misspelt name
                store.makedirs(target, exist_ok=True)
            for name in FILES:
                if not _lies(store, f"{target}/{name}", manifest.files[name]):
                    stores.put(store, folder / name, f"{target}/{name}")
            _write_manifest(store, f"{target}/{MANIFEST}", manifest)
    except FileNotFoundError as exc:
        raise Misconfigured(f"There is no store at {root}. Make it, or set SLUICE_ADAPTERS_URL to one.") from exc
    return f"{root.partition('://')[0]}://{target}"


def fetch(uri: str, digest: str, cache: Path, *, max_rank: int, endpoint_url: str | None = None) -> Path:
    """The adapter's folder below `cache`, downloaded if it is not there whole.

    Many may fetch at once, in many processes: one downloads. Raises `Unavailable` when the store does not answer or the
    disk is full, `Misconfigured` for files that are missing, cut, foreign, or not those of the digest.
    """
    if not re.fullmatch(r"[0-9a-f]{20}", digest):
        raise BadInput(f"An adapter's digest is twenty hex digits, not {digest[:40]!r}.")
    target = cache / digest
    if not _is_whole(target, digest):
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f".{digest}.lock"):
            _renew(target, uri, endpoint_url)
    check(target, max_rank=max_rank)
    return target


def _renew(target: Path, uri: str, endpoint_url: str | None) -> None:
    digest, cache = target.name, target.parent
    if _is_whole(target, digest):  # by now: another was faster
        return
    for left in cache.glob(f".{digest}.*.part"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{digest}.", suffix=".part") as name:
        _replace(_downloaded(uri, digest, Path(name) / digest, endpoint_url), target)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path, digest: str) -> bool:
    """A copy may have been cut by a full disk, or changed since."""
    try:
        return check(folder, max_rank=ANY_RANK) == digest
    except (Misconfigured, OSError):
        return False


def _downloaded(uri: str, digest: str, folder: Path, endpoint_url: str | None) -> Path:
    store, place = stores.opened(uri, endpoint_url=endpoint_url)
    folder.mkdir()
    with stores.answering(uri):
        manifest = _manifest(store, place, uri)
        if manifest.digest != digest:
            raise Misconfigured(f"The manifest at {uri} is of adapter {manifest.digest}. Publish {digest} again.")
        for name in FILES:
            _copy(store, f"{place}/{name}", folder / name, manifest.files[name], uri)
    if (found := check(folder, max_rank=ANY_RANK)) != digest:
        raise Misconfigured(f"What lies at {uri} is adapter {found}, not {digest}. Publish {digest} again.")
    return folder


def _manifest(store: Any, place: str, uri: str) -> _Manifest:
    try:
        with store.open(f"{place}/{MANIFEST}", "rb") as file:
            raw = file.read(MAX_MANIFEST_BYTES)
    except FileNotFoundError as exc:
        raise Misconfigured(f"There is no adapter at {uri}: it has no {MANIFEST}. {AGAIN}") from exc
    try:
        manifest = _Manifest.model_validate(orjson.loads(raw))
    except (orjson.JSONDecodeError, ValidationError) as exc:
        raise Misconfigured(f"The {MANIFEST} at {uri} is damaged. {AGAIN}") from exc
    if set(manifest.files) != set(FILES):
        raise Misconfigured(f"The {MANIFEST} at {uri} names other files than {' and '.join(FILES)}. {AGAIN}")
    if any(each.size_bytes > MAX_BYTES for each in manifest.files.values()):
        raise Misconfigured(f"The adapter at {uri} has a file over {MAX_BYTES >> 30} GiB; that is no adapter.")
    return manifest


def _write_manifest(store: Any, target: str, manifest: _Manifest) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(manifest.model_dump_json().encode())
        file.flush()
        stores.put(store, Path(file.name), target)


def _lies(store: Any, target: str, described: _File) -> bool:
    """Whether the file is in the store already, byte for byte."""
    if not store.exists(target) or store.info(target)["size"] != described.size_bytes:
        return False
    with store.open(target, "rb") as file:
        seen = hashlib.sha256()
        while piece := file.read(PIECE):
            seen.update(piece)
    return seen.hexdigest() == described.sha256


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
        raise Misconfigured(f"{target.name} is missing at {uri}. {AGAIN}") from exc
    if left or is_longer or seen.hexdigest() != described.sha256:
        fault = "cut off" if left else "longer than its manifest says" if is_longer else "damaged"
        raise Misconfigured(f"{target.name} at {uri} is {fault}. {AGAIN}")


def _replace(fresh: Path, target: Path) -> None:
    """What lies there is damaged, or a file where a folder should be."""
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    fresh.rename(target)


def _described(path: Path) -> _File:
    with path.open("rb") as file:
        return _File(size_bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
