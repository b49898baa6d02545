"""What is ours in alpaca-py's market streams: every step has a limit, and the socket is tapped."""

from typing import Any, Protocol

from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.news import NewsDataStream
from alpaca.data.live.option import OptionDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.live.websocket import DataStream

from bus.feed_kinds import CRYPTO, NEWS, OPTIONS, STOCKS
from ingest.streams.answering import Connecting, connected, taken
from ingest.streams.tap import Sink, WatchedSocket

# Pings keep idle connections through firewalls and find half-open ones within a minute. No compression: it
# costs as much as all the rest. Frames above the client's default of 1 MiB would end in a loop of reconnects.
# The limit on opening is ours (`ingest/streams/answering.py`): one of ten seconds would end it before a
# longer one.
WEBSOCKET_PARAMS: dict[str, Any] = {
    "open_timeout": None,
    "ping_interval": 10,
    "ping_timeout": 30,
    "max_queue": 1024,
    "max_size": 16 * 1024 * 1024,
    "close_timeout": 1,
    "compression": None,
}


class Feed(Sink, Connecting, Protocol):
    """Whoever is told how the connection stands, and takes what comes out of it."""

    def subscribing(self) -> None:
        """Authenticated, and nothing is subscribed to yet."""


class TappedStream(DataStream):
    """What is ours in alpaca-py's stream: the socket is tapped, and nothing is dispatched."""

    feed: Feed

    async def _connect(self) -> None:
        await connected(self.feed, "open the websocket and say connected", super()._connect)
        self._ws: Any = WatchedSocket(self._ws, self.feed)

    async def _auth(self) -> None:
        await taken(self.feed, "answer the keys", super()._auth)

    async def _send_subscribe_msg(self) -> None:
        """Nothing: what is wanted is asked for where answers are awaited."""
        self.feed.subscribing()

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        """Control messages were heard at the tap; data never comes here."""


class StockStream(TappedStream, StockDataStream):
    """Shares."""


class CryptoStream(TappedStream, CryptoDataStream):
    """Crypto pairs."""


class OptionStream(TappedStream, OptionDataStream):
    """Contracts."""


class NewsStream(TappedStream, NewsDataStream):
    """Articles."""


STREAMS: dict[str, type[StockStream | CryptoStream | OptionStream | NewsStream]] = {
    STOCKS: StockStream,
    CRYPTO: CryptoStream,
    OPTIONS: OptionStream,
    NEWS: NewsStream,
}
