"""The client's commands as a process of their own: producer and worker never meet in one."""

import subprocess
import sys


def client(*arguments: str, is_quiet: bool = False) -> int:
    """Runs `sluice ARGUMENTS` to its end and returns its exit code; `is_quiet` drops its standard output.

    Ctrl-C at a terminal reaches this process alone, which then ends the client: hit while it still imports, the client
    would print a traceback.
    """
    command = [sys.executable, "-m", "sluice_producer", *arguments]
    stdout = subprocess.DEVNULL if is_quiet else None
    return subprocess.run(command, check=False, stdout=stdout, process_group=0).returncode
