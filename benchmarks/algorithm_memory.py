"""What an algorithm's process keeps in memory while it trades in the demo."""

import time
from pathlib import Path

import psutil

from benchmarks.demo_run import demo
from benchmarks.row import Row

MOST_MB = 80.0
SETTLE_S = 5.0


def measure(directory: Path) -> Row:
    """The larger resident memory of the two algorithms, some seconds after the first fill."""
    with demo(directory) as run:
        run.seconds_to_first_fill()
        time.sleep(SETTLE_S)
        pids = run.algorithm_pids()
        value = max(psutil.Process(pid).memory_info().rss for pid in pids.values()) / 2**20
        for name, pid in pids.items():
            _require_light(name, pid)
    return Row(
        name="algo_memory",
        value=value,
        unit="MB resident",
        limit=MOST_MB,
        limit_is="what fifty algorithms may take of 4 GB",
        bar=1,
        rule="at_most",
    )


def _require_light(name: str, pid: int) -> None:
    """A mapped extension of pandas gives away that it, or alpaca-py which loads it, was imported."""
    maps = {Path(entry.path).parts for entry in psutil.Process(pid).memory_maps()}
    if any("pandas" in parts for parts in maps):
        raise SystemExit(f"{name} has loaded pandas")
