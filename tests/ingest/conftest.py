"""A simulator for a module, without faults of an earlier test; and gaps that are filled sooner."""

from collections.abc import Iterator

import pytest
from simulator import Simulator


@pytest.fixture(scope="module")
def module_simulator() -> Iterator[Simulator]:
    with Simulator.start("--rate", "400", "--symbols", "AAPL,MSFT,SPY,BTC/USD") as simulator:
        yield simulator


@pytest.fixture
def simulator(module_simulator: Simulator) -> Iterator[Simulator]:
    yield module_simulator
    module_simulator.clear_faults()


@pytest.fixture
def left_open_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier run left open is filled after a second: time enough for the same gap to go on."""
    monkeypatch.setattr("ingest.gaps.gap_filler.LEFT_OPEN_AFTER_S", 1.0)
