"""Why a tuning's process ended, in a sentence that its parent can raise."""

import errno
import signal
from pathlib import Path

import orjson

from sluice_schemas.errors import Misconfigured, Retryable, SluiceError

FILE = "fault.json"
LOG = "tune.log"
MEMORY = "Lower device_batch or sequence_tokens, set recompute, or take qlora."
DISK = "Make room, or raise the limit, and start it again: it goes on from its last checkpoint."
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNWRITTEN = ("No space left", "File too large", "Disk quota", "PytorchStreamWriter", "fail at inline_container")
"""How Rust and torch say the same; the last is what torch says while it closes a file that it could not write."""


def write(out: Path, exc: BaseException) -> None:
    """Leaves what went wrong for the parent; of several processes that fail the first is heard."""
    found = explain(exc)
    try:
        with (out / FILE).open("xb") as file:
            file.write(orjson.dumps({"setting": isinstance(found, Misconfigured), "message": str(found)}))
    except OSError:  # told already, or the disk takes nothing: the exit code and the log stay
        return


def explain(exc: BaseException) -> SluiceError:
    """The error to raise for what a tuning died of."""
    if isinstance(exc, SluiceError):
        return exc
    text = str(exc) or type(exc).__name__
    if isinstance(exc, MemoryError) or type(exc).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return Retryable(f"The tuning ran out of memory. {MEMORY}")
    if getattr(exc, "errno", None) in _FULL or any(each in text for each in _UNWRITTEN):
        return Retryable(f"The tuning could not write to its folder: {_last_line(text)}. {DISK}")
    return Retryable(f"The tuning failed: {type(exc).__name__}: {_last_line(text)}")


def read(out: Path, code: int) -> SluiceError:
    """What the processes of a tuning that ended with `code` died of."""
    if (out / FILE).is_file():
        told = orjson.loads((out / FILE).read_bytes() or b"{}")
        if told:
            return Misconfigured(told["message"]) if told["setting"] else Retryable(told["message"])
    cause = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    end = _tail(out / LOG)
    hint = f" {MEMORY}" if code == -signal.SIGKILL or "SIGKILL" in end else ""
    return Retryable(f"The tuning {cause}; the end of {out / LOG}: {end}.{hint}")


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1][:300].rstrip(".") if text.strip() else "no message"


def _tail(path: Path) -> str:
    """The last line that says something; torchrun ends with a rule."""
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    told = (line.strip() for line in reversed(lines) if any(map(str.isalpha, line)))
    return next(told, "nothing")[:300].rstrip(".")
