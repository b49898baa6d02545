"""Ends a process whose handler does not return: asked to stop, it cannot even hear it in the event loop."""

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType

LATE = 1


class Watchdog:
    """Once a stop was asked for, the process ends within `grace_s`, whatever its handlers do.

    Start it in the main thread, after the event loop has taken the signals: it listens in front of the loop.
    """

    def __init__(self, name: str, grace_s: float, running: Callable[[], str]) -> None:
        self._name = name
        self._grace_s = grace_s
        self._running = running
        # Unlike an event, this may be put into by a signal handler that interrupts another put.
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Listen for SIGINT and SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._listen(signal.Signals(number))
        self._thread.start()

    def ask(self) -> None:
        """A stop was asked for by other means than a signal."""
        self._asked.put(None)

    def _listen(self, number: signal.Signals) -> None:
        following = signal.getsignal(number)

        def heard(received: int, frame: FrameType | None) -> None:
            self.ask()
            if callable(following):
                following(received, frame)

        signal.signal(number, heard)

    def _watch(self) -> None:
        self._asked.get()
        # A process that ends in time takes this thread, a daemon, with it.
        time.sleep(self._grace_s)
        handler = self._running()
        what = f"its handler {handler} has not returned" if handler else "it did not come to an end"
        print(  # noqa: T201 - the event loop, and with it the log, may be what hangs
            f"error: algorithm {self._name} was late: {what} "
            f"{self._grace_s:g} s after the stop was asked for; the process ends now",
            file=sys.stderr,
            flush=True,
        )
        faulthandler.dump_traceback(file=sys.stderr)
        os._exit(LATE)
