"""Start the real processes for a benchmark, and stop them by pid."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

STOP_TIMEOUT_S = 20.0


@contextlib.contextmanager
def process(
    *arguments: str, directory: Path, environment: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m <arguments>` with its errors in a file of the directory, until the block ends."""
    path = directory / f"{arguments[0].replace('.', '-')}-{time.monotonic_ns()}.err"
    with path.open("wb") as errors:
        started = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield started
        if started.poll() not in (None, 0):
            sys.exit(f"{' '.join(arguments)} ended with {started.returncode}: {path.read_text()[-2000:]}")
    finally:
        started.terminate()
        try:
            started.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        assert started.stdout is not None
        started.stdout.close()


@contextlib.contextmanager
def simulator(directory: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, str]]]:
    """The simulator, and the environment that points the services at it."""
    with process("sim", "--json", *arguments, directory=directory) as started:
        assert started.stdout is not None
        line = started.stdout.readline()
        if not line:
            sys.exit("the simulator did not start")
        urls: dict[str, Any] = json.loads(line)
        yield (
            started,
            {
                "ALPACA_API_KEY": urls["key"],
                "ALPACA_SECRET_KEY": urls["secret"],
                "BACKBONE_TRADING_URL": urls["trading_url"],
                "BACKBONE_TRADING_STREAM_URL": urls["trading_stream_url"],
                "BACKBONE_DATA_URL": urls["data_url"],
                "BACKBONE_STOCKS_STREAM_URL": urls["stocks_stream_url"],
                "BACKBONE_CRYPTO_STREAM_URL": urls["crypto_stream_url"],
            },
        )


def cpu_seconds(pid: int) -> float | None:
    """The CPU time, user and system, of all threads of a process so far; None where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return None
    # A name in parentheses, which may hold anything, comes before the numbers.
    user, system = stat.read_text().rpartition(") ")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def wait(condition: Callable[[], bool], what: str, *, timeout_s: float = 30.0) -> None:
    """Poll until it holds; the benchmark ends with a sentence when it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(0.05)
