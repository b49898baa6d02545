"""The demo as a person starts it, watched from outside through its own streams."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import redis

from benchmarks.processes import STOP_TIMEOUT_S, wait
from bus.streams import alive, journal
from ops.running import Running

# Long enough for every figure; the run is ended as soon as it is known.
SECONDS = 60


class DemoRun:
    """A running demo; `started` is the time just before `make demo`."""

    def __init__(self, orders: "redis.Redis", started: float) -> None:
        self.orders = orders
        self.started = started

    def seconds_to_first_fill(self) -> float:
        """From the command to the first fill in the journal."""
        wait(self._filled, "the first fill")
        return time.perf_counter() - self.started

    def algorithm_pids(self) -> dict[str, int]:
        """The pid of each algorithm, from its heartbeat."""
        beats = [
            msgspec.json.decode(self._beat(key))
            for key in self.orders.scan_iter(match=alive("paper", "algo-*", "*"))
        ]
        return {beat["process"]: beat["pid"] for beat in beats}

    def _beat(self, key: Any) -> Any:
        return self.orders.get(key) or b"{}"

    def _filled(self) -> bool:
        entries: Any = self.orders.xrange(journal("paper"))
        return any(fields[b"type"] == b"OrderFilled" for _, fields in entries)


@contextlib.contextmanager
def demo(directory: Path) -> Iterator[DemoRun]:
    """`make demo` with its files in the directory, until the block ends; Ctrl-C stops it."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_REDIS_URL")}
    started = time.perf_counter()
    with (directory / "demo.err").open("wb") as errors:
        process = subprocess.Popen(
            ["make", "--silent", "demo", f"ARGS=--seconds {SECONDS} --json"],
            env={**environment, "BACKBONE_HOME": str(directory)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    try:
        wait(lambda: _running(directory) is not None, "the demo to say which servers it uses")
        running = _running(directory)
        assert running is not None
        with redis.Redis.from_url(running.servers.orders) as orders:
            yield DemoRun(orders, started)
    finally:
        # To make and to what it runs, as a terminal does.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_TIMEOUT_S * 2)


def _running(directory: Path) -> Running | None:
    try:
        return msgspec.json.decode((directory / "running-paper.json").read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
