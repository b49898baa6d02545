"""What the conformance suite speaks to: the simulator, or Alpaca paper; never an account with real money."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from simulator import Simulator

PAPER_TRADING_HOST = "paper-api.alpaca.markets"
PAPER_DATA_HOST = "data.alpaca.markets"
PAPER_STREAM_HOST = "stream.data.alpaca.markets"
LOOPBACK = "127.0.0.1"
_PAPER_HOSTS = frozenset({PAPER_TRADING_HOST, PAPER_DATA_HOST, PAPER_STREAM_HOST})
# Where a person might believe to choose the account: it is not read, and must not say otherwise.
_HOST_VARIABLES = ("APCA_API_BASE_URL", "ALPACA_TRADING_URL", "BACKBONE_TRADING_URL")


class NotPaper(Exception):
    """Somebody asked for anything but paper trading, or a request left for another host."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where it is, who we are there, what may be expected of it.

    `streams_url` is the market-data websockets' address without a path. `allows_more_keys`: Alpaca adds keys
    without notice, the simulator shows what is documented. `patience_s` is how long something may take that
    happens by itself, such as a trade; `pause_s` how long to wait before asking for it again.
    """

    kind: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    trading_url: str
    updates_url: str
    data_url: str
    streams_url: str
    may_trade: bool = True
    stock: str = "AAPL"
    other_stock: str = "MSFT"
    coin: str = "BTC/USD"
    other_coin: str = "ETH/USD"
    allows_more_keys: bool = False
    patience_s: float = 10.0
    pause_s: float = 0.02

    def __post_init__(self) -> None:
        for url in (self.trading_url, self.updates_url, self.data_url, self.streams_url):
            self.check(url)

    def check(self, url: str) -> None:
        """Raise NotPaper where the address belongs neither to a simulator of this machine nor to paper."""
        allowed = {LOOPBACK} if self.kind == "simulator" else _PAPER_HOSTS
        parts = urlsplit(url)
        if parts.hostname not in allowed:
            raise NotPaper(f"{parts.hostname} is not to be spoken to; allowed: {', '.join(sorted(allowed))}")
        if self.kind == "paper" and parts.scheme not in ("https", "wss"):
            raise NotPaper(f"{parts.scheme} to {parts.hostname} would show the keys; allowed: https, wss")

    def stream(self, path: str) -> str:
        """The address of one market-data websocket, such as `/v2/iex`."""
        return self.streams_url + path


def of_simulator(simulator: Simulator) -> Target:
    """A running simulator."""
    return Target(
        kind="simulator",
        key=simulator.key,
        secret=simulator.secret,
        trading_url=simulator.trading_url,
        updates_url=simulator.trading_stream_url,
        data_url=simulator.data_url,
        streams_url=simulator.stocks_stream_url.removesuffix("/v2/iex"),
    )


def of_paper(environment: Mapping[str, str], may_trade: bool = True) -> Target:
    """Alpaca paper, with the keys of the environment; raises NotPaper where something says otherwise."""
    for name in _HOST_VARIABLES:
        value = environment.get(name, "")
        if value and urlsplit(value).hostname != PAPER_TRADING_HOST:
            raise NotPaper(f"{name} names another host than {PAPER_TRADING_HOST}: take it out")
    key, secret = environment.get("ALPACA_API_KEY", ""), environment.get("ALPACA_SECRET_KEY", "")
    if not key or not secret:
        raise NotPaper("set ALPACA_API_KEY and ALPACA_SECRET_KEY to the keys of a paper account")
    if not key.startswith("PK"):
        raise NotPaper("ALPACA_API_KEY is no key of a paper account: those begin with PK")
    return Target(
        kind="paper",
        key=key,
        secret=secret,
        trading_url=f"https://{PAPER_TRADING_HOST}",
        updates_url=f"wss://{PAPER_TRADING_HOST}/stream",
        data_url=f"https://{PAPER_DATA_HOST}",
        streams_url=f"wss://{PAPER_STREAM_HOST}",
        may_trade=may_trade,
        allows_more_keys=True,
        patience_s=75.0,
        pause_s=0.5,
    )
