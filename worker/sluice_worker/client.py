"""The client's commands as a process of their own: producer and worker never meet in one."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# -P: or the folder in which it is started could bring modules of its own.
SLUICE = (sys.executable, "-P", "-m", "sluice_producer")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def client(*arguments: str, is_quiet: bool = False) -> int:
    """Runs `sluice ARGUMENTS` to its end and returns its exit code; `is_quiet` drops its standard output.

    Ctrl-C at a terminal reaches this process alone, which then ends the client: hit while it still imports, the client
    would print a traceback. Call it from the main thread.
    """
    with _held_back() as came:
        process = subprocess.Popen(
            [*SLUICE, *arguments], stdout=subprocess.DEVNULL if is_quiet else None, process_group=0
        )
    try:
        for number in came:
            signal.raise_signal(number)
        return process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise


@contextmanager
def _held_back() -> Iterator[list[int]]:
    """Notes the signals that come meanwhile: an interrupt within Popen would leave a child that nobody knows."""
    came: list[int] = []
    # What is ignored, as nohup does, stays so: the child is to inherit that.
    heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in heard}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
