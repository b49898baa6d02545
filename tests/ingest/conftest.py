"""A simulator for a module, without faults of an earlier test."""

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
