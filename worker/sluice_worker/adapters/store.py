"""Where adapters lie: a folder or an object store, by URL, and what its errors mean."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from sluice_schemas.errors import Misconfigured, SluiceError, Unavailable

CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and give them rights on the bucket."
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def opened(url: str, *, endpoint_url: str | None = None) -> tuple[Any, str]:
    """The file system of a `file` or `s3` URL, and the place in it, without a slash at its end.

    A relative place of `file` is below the working directory. S3 is where `endpoint_url` or AWS_ENDPOINT_URL says,
    else Amazon's. Raises `Misconfigured`.
    """
    scheme, _, place = url.partition("://")
    if scheme == "file":
        return fsspec.filesystem("file"), os.path.abspath(place)
    if scheme != "s3" or not place.strip("/"):
        raise Misconfigured("Adapters lie in file://FOLDER or s3://BUCKET/FOLDER. Set SLUICE_ADAPTERS_URL to one.")
    try:
        # A store that is asked again must not answer from a listing of a minute ago.
        options = {"use_listings_cache": False, "skip_instance_cache": True}
        return fsspec.filesystem("s3", endpoint_url=endpoint_url, **options), place.rstrip("/")
    except ImportError as exc:
        raise Misconfigured("Adapters in s3:// need s3fs: pip install 'sluice-ke[s3]'.") from exc


def put(store: Any, source: Path, target: str) -> None:
    """Copies a file; who looks sees all of it, or what was there before."""
    if "file" not in store.protocol:  # object stores show an object when it is complete
        store.put_file(str(source), target)
        return
    part = f"{target}.{os.getpid()}.part"
    try:
        store.put_file(str(source), part)
        os.replace(part, target)
    except BaseException:  # also when the run is interrupted
        Path(part).unlink(missing_ok=True)
        raise


@contextmanager
def answering(url: str) -> Iterator[None]:
    """What a store raises is told as ours. A thing that is not there stays a `FileNotFoundError`."""
    try:
        yield
    except (SluiceError, FileNotFoundError):
        raise
    except PermissionError as exc:
        hint = CREDENTIALS if url.startswith("s3:") else "Give this user rights on its folder."
        raise Misconfigured(f"The store of {url} refuses. {hint}") from exc
    except Exception as exc:  # each kind of store has errors of its own
        if isinstance(exc, OSError) and exc.errno in FULL:
            raise Unavailable(
                f"There is no room for a copy of the adapter ({url}): {exc.strerror}. Make some."
            ) from exc
        if _lacks_credentials(exc):
            raise Misconfigured(f"There are no credentials for {url}. {CREDENTIALS}") from exc
        raise Unavailable(
            f"The store of {url} does not answer ({type(exc).__name__}). Check it and SLUICE_S3_ENDPOINT_URL."
            if url.startswith("s3:")
            else f"The store of {url} cannot be used ({type(exc).__name__}: {getattr(exc, 'strerror', '')}). Check it."
        ) from exc


def _lacks_credentials(exc: Exception) -> bool:
    try:
        from botocore.exceptions import CredentialRetrievalError, NoCredentialsError, PartialCredentialsError
    except ImportError:  # an installation without S3
        return False
    return isinstance(exc, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError)
