"""The suite's target, its clients, and its recorder; by default the target is a simulator of our own."""

import os
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
from account_of import account_of
from agreement import Agreement
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from alpaca.trading.models import Clock
from edge import Edge, Exchange
from frames import Frame, Wire
from placing import Placing
from recording import Recorder, Scrubber, folder_of
from simulator import Simulator
from target import NotPaper, Target, of_paper, of_simulator

SIMULATOR = (
    "--symbols", "AAPL,MSFT,BTC/USD,ETH/USD", "--rate", "1000", "--bar-seconds", "1", "--partial-chance", "0",
    "--requests-per-minute", "100000", "--data-requests-per-minute", "100000", "--symbol-limit", "30",
    "--news-per-minute", "600", "--mistakes-per-minute", "1200",
    # A Monday on which New York trades, so that nothing depends on when the suite runs.
    "--hours", "exchange", "--start", "2026-11-23T10:30:00-05:00",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption(
        "--conformance-target", choices=("simulator", "paper"), default="simulator",
        help="paper: Alpaca paper with ALPACA_API_KEY and ALPACA_SECRET_KEY",
    )  # fmt: skip
    group.addoption("--no-trading", action="store_true", help="skip every test that places an order")
    group.addoption("--record-to", type=Path, help="write every exchange and frame below this folder")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "open_market: needs New York's session; skipped, visibly, outside it")
    if config.getoption("--conformance-target", "simulator") == "paper":
        # One sentence, where every test would fail for the same reason.
        try:
            of_paper(os.environ)
        except NotPaper as error:
            raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    # The options exist only where this folder is named on the command line: nobody gets to paper by accident.
    if request.config.getoption("--conformance-target", "simulator") == "paper":
        yield of_paper(os.environ, may_trade=not request.config.getoption("--no-trading"))
        return
    with Simulator.start(*SIMULATOR) as started:
        yield of_simulator(started)


@pytest.fixture(scope="session")
def recorder(request: pytest.FixtureRequest, target: Target) -> Recorder | None:
    root = request.config.getoption("--record-to", None)
    if root is None:
        return None
    scrubber = Scrubber(target.key, target.secret)
    account = account_of(target)
    scrubber.hide(account["id"])
    scrubber.hide(account["account_number"])
    return Recorder(folder_of(root, target.kind, version("alpaca-py"), time.time_ns()), scrubber)


@pytest.fixture(autouse=True)
def recorded(request: pytest.FixtureRequest) -> None:
    """Give each test of the target a file of its own in the recording."""
    if "target" in request.fixturenames:
        recorder: Recorder | None = request.getfixturevalue("recorder")
        if recorder is not None:
            recorder.begin(request.path.stem, request.node.name)


@pytest.fixture(autouse=True)
def is_open(request: pytest.FixtureRequest, recorded: None) -> None:
    """Skip what needs an open market where the clock says that it is closed."""
    if request.node.get_closest_marker("open_market"):
        client: TradingClient = request.getfixturevalue("trading")
        clock = client.get_clock()
        assert isinstance(clock, Clock)
        if not clock.is_open:
            pytest.skip("the market is closed")


@pytest.fixture(scope="session")
def tell(recorder: Recorder | None) -> Callable[[Wire, Frame], None]:
    """Where frames are told."""
    return (lambda wire, frame: None) if recorder is None else recorder.frame


@pytest.fixture(scope="session")
def edge(target: Target, recorder: Recorder | None) -> Iterator[Edge]:
    def nowhere(exchange: Exchange) -> None:
        """Nobody records."""

    made = Edge(target, nowhere if recorder is None else recorder.exchange)
    yield made
    made.close()


@pytest.fixture(scope="session")
def trading(target: Target, edge: Edge) -> Iterator[TradingClient]:
    """An unmodified alpaca-py client of the account."""
    client = TradingClient(target.key, target.secret, paper=True, url_override=target.trading_url)
    edge.mount(client._session)
    yield client
    client._session.close()


@pytest.fixture(scope="session")
def stocks(target: Target, edge: Edge) -> Iterator[StockHistoricalDataClient]:
    """An unmodified alpaca-py client of the stock history."""
    client = StockHistoricalDataClient(target.key, target.secret, url_override=target.data_url)
    edge.mount(client._session)
    yield client
    client._session.close()


@pytest.fixture(scope="session")
def coins(target: Target, edge: Edge) -> Iterator[CryptoHistoricalDataClient]:
    """An unmodified alpaca-py client of the crypto history."""
    client = CryptoHistoricalDataClient(target.key, target.secret, url_override=target.data_url)
    edge.mount(client._session)
    yield client
    client._session.close()


@pytest.fixture(scope="session")
def plain(target: Target, edge: Edge) -> Iterator[requests.Session]:
    """A session that says what a test makes it say, with the account's keys."""
    with requests.Session() as session:
        session.headers.update({"APCA-API-KEY-ID": target.key, "APCA-API-SECRET-KEY": target.secret})
        edge.mount(session)
        yield session


@pytest.fixture(scope="session")
def agrees(target: Target, edge: Edge) -> Agreement:
    """Holds what came against the documented shapes."""
    return Agreement(target, edge)


@pytest.fixture
def placing(target: Target, trading: TradingClient) -> Iterator[Placing]:
    """Places orders and takes them back at the end."""
    made = Placing(target, trading)
    yield made
    made.take_back()
