"""Adapters as files in a folder or an object store: written whole, fetched only when they are what their name says."""

from pathlib import Path


def publish(folder: Path, root: str, digest: str) -> str:
    """Copies an adapter to `root` (a URL of `file` or `s3`) under its digest; the URI to fetch it by."""
    raise NotImplementedError


def fetch(uri: str, digest: str, cache: Path, *, max_rank: int) -> Path:
    """The adapter's folder below `cache`, downloaded if it is not there.

    Raises `Unavailable` when the store does not answer, `Misconfigured` for files that are missing, cut, foreign, or
    not those of the digest.
    """
    raise NotImplementedError
