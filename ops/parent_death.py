"""Ends children when the supervisor that started them is killed."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_this_process() -> Callable[[], None] | None:
    """Return what a child runs between fork and exec, so that the kernel ends it when we die; None off Linux.

    A supervisor that gets SIGKILL cannot stop anybody, and its children sit in sessions of their own, so
    without this they would trade on unwatched. The kernel counts the death of the thread that forked: start
    children from the main thread only.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork: the child must not import or take locks.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            # The parent died before the call: nobody would send the signal any more.
            os._exit(1)

    return tie
