"""A plug-in that vLLM loads in each of its processes: a child of a worker lives and dies with the worker."""

import ctypes
import multiprocessing
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when its parent ends."""


def bind_to_parent() -> None:
    """In a child process alone: it ends with its parent, and a Ctrl-C at the terminal is the parent's business.

    vLLM leaves its engine process behind when its parent is killed, and the device's memory with it (vLLM #55510).
    """
    if multiprocessing.parent_process() is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
