"""alpaca-py's clients of the simulator that a module has started."""

from collections.abc import Iterator

import pytest
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from simulator import Simulator


@pytest.fixture
def stocks(simulator: Simulator) -> Iterator[StockHistoricalDataClient]:
    client = simulator.stock_data_client()
    yield client
    client._session.close()


@pytest.fixture
def coins(simulator: Simulator) -> Iterator[CryptoHistoricalDataClient]:
    client = simulator.crypto_data_client()
    yield client
    client._session.close()


@pytest.fixture
def client(simulator: Simulator) -> Iterator[TradingClient]:
    made = simulator.trading_client()
    yield made
    made._session.close()


@pytest.fixture
def no_faults(simulator: Simulator) -> Iterator[None]:
    """Faults end with the test that began them."""
    yield
    simulator.clear_faults()


@pytest.fixture
def left_tidy(simulator: Simulator, client: TradingClient) -> Iterator[None]:
    """Neither orders nor positions are left behind."""
    yield
    client.cancel_orders()
    client.close_all_positions()
    simulator.wait_until(lambda: not client.get_all_positions(), "no positions are left")
