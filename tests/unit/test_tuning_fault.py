"""What a tuning died of becomes an error that says what to do."""

import errno
from pathlib import Path

import pytest

from sluice_schemas.errors import Misconfigured, Retryable
from sluice_worker.training import tuning_fault


@pytest.mark.parametrize(
    ("died_of", "kind", "told"),
    [
        (Misconfigured("Lower the rank."), Misconfigured, r"^Lower the rank\.$"),
        (OSError(errno.ENOSPC, "No space left on device"), Retryable, "could not write.*goes on from its last"),
        (OSError(errno.EDQUOT, "over quota"), Retryable, "could not write"),
        (RuntimeError("Error while serializing: No space left on device (os error 28)"), Retryable, "could not write"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 9"), Retryable, "could not write"),
        (MemoryError(), Retryable, "ran out of memory.*device_batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), Retryable, "out of memory"),
        (ValueError("first\nlast line."), Retryable, r"failed: ValueError: last line$"),
    ],
)
def test_it_crosses_to_the_parent(tmp_path: Path, died_of: Exception, kind: type[Exception], told: str) -> None:
    tuning_fault.write(tmp_path, died_of)
    tuning_fault.write(tmp_path, ValueError("a process that failed because the first had"))
    with pytest.raises(kind, match=told):
        raise tuning_fault.read(tmp_path, 1)


@pytest.mark.parametrize(
    ("code", "log", "told"),
    [
        (-9, "loading\n", r"killed by SIGKILL; the end of .*: loading\. Lower device_batch"),
        (1, "traceback : Signal 9 (SIGKILL) received by PID 7\n=====\n", r"code 1.*SIGKILL.*Lower device_batch"),
        (-15, "", r"killed by SIGTERM.*nothing\.$"),
    ],
)
def test_a_process_that_could_not_say_why_is_read_from_its_end(tmp_path: Path, code: int, log: str, told: str) -> None:
    (tmp_path / tuning_fault.LOG).write_text(log)
    with pytest.raises(Retryable, match=told):
        raise tuning_fault.read(tmp_path, code)
