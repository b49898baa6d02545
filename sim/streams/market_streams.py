"""The streams of all feeds, and what each sends: messages played, and those derived from them."""

import asyncio
from collections.abc import Callable, Sequence

from sim.clock import Clock
from sim.exchange.hours import MarketHours, Phase
from sim.exchange.market import Market
from sim.exchange.market_messages import AnyMessage, Article, CryptoQuote, PriceBand, TimedMessage
from sim.exchange.option_feed import OptionFeed
from sim.exchange.order_books import OrderBooks
from sim.exchange.price_bands import PriceBands
from sim.exchange.traded_symbols import TradedSymbols
from sim.faults.faults import Faults
from sim.keys import Keyring
from sim.streams.client import Client
from sim.streams.feeds import CRYPTO, FEEDS, NEWS, OPTIONS, STOCKS, TEST
from sim.streams.market_socket import MarketStream
from sim.streams.socket_endpoint import SocketEndpoint
from sim.streams.subscription import EVERY, Wanted
from sim.streams.terms import Terms
from sim.times import SECOND_NS

BANDS_EVERY_NS = SECOND_NS


class MarketStreams:
    """One stream per feed. What is derived only for subscribers costs nothing while there are none."""

    def __init__(
        self,
        keyring: Keyring,
        faults: Faults,
        clock: Clock,
        terms: Terms,
        market: Market,
        hours: MarketHours,
        traded_symbols: TradedSymbols,
        begin_test: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._market = market
        self._hours = hours
        self._traded_symbols = traded_symbols
        self._begin_test = begin_test
        self._books = OrderBooks()
        self._bands = PriceBands()
        self._options = OptionFeed()
        self._watches_bands = False
        self._by_name = {feed.name: MarketStream(feed, keyring, faults, clock, terms, self) for feed in FEEDS}
        self._stocks, self._crypto = self._by_name[STOCKS.name], self._by_name[CRYPTO.name]
        self._option_stream = self._by_name[OPTIONS.name]

    def endpoints(self) -> list[SocketEndpoint]:
        """Return the websocket endpoint of each feed."""
        return [
            SocketEndpoint(path, stream.handle, stream.feed.shares_path)
            for stream in self.all()
            for path in stream.feed.paths
        ]

    def all(self) -> list[MarketStream]:
        """Return every stream."""
        return list(self._by_name.values())

    def clients(self) -> list[Client]:
        """Return the clients of all streams."""
        return [client for stream in self.all() for client in stream.clients]

    def find(self, name: str) -> MarketStream:
        """Return a feed's stream by its name."""
        return self._by_name[name]

    def send(self, messages: Sequence[TimedMessage]) -> None:
        """Send messages to the streams that they belong to."""
        if not messages:
            return
        if self._stocks.clients:
            self._stocks.publish([message for message in messages if "/" not in message.symbol])
        if self._crypto.clients:
            coins = [message for message in messages if "/" in message.symbol]
            self._crypto.publish(coins)
            if self._crypto.wanted["orderbooks"]:
                self._crypto.publish(self._changed_books(coins))
        if self._option_stream.clients:
            self._option_stream.publish(self._options.follow(messages))

    def send_test(self, messages: Sequence[TimedMessage]) -> None:
        """Send the messages of the test feed."""
        self._by_name[TEST.name].publish(messages)

    def send_article(self, article: Article) -> None:
        """Send a news article."""
        self._by_name[NEWS.name].publish([article])

    def suspend_band(self, symbol: str) -> None:
        """Remove the symbol's price band while it is halted."""
        self._send_band(symbol, self._bands.suspend)

    def resume_band(self, symbol: str) -> None:
        """Set a price band again after a halt."""
        self._send_band(symbol, self._bands.resume)

    def flush(self) -> None:
        """Send what still waits: the market is over."""
        for stream in self.all():
            stream.flush()

    async def close(self) -> None:
        """End every connection with a close frame."""
        await asyncio.gather(*(stream.close() for stream in self.all()))

    def changed(self, stream: MarketStream) -> None:
        """Take note that a subscription changed or a client left."""
        wanted = stream.wanted
        if stream.feed is CRYPTO and EVERY not in wanted["orderbooks"]:
            self._books.keep(wanted["orderbooks"])
        elif stream.feed is OPTIONS:
            self._options.want(wanted["trades"] | wanted["quotes"])
        elif stream.feed is STOCKS and wanted["lulds"] and not self._watches_bands:
            self._watches_bands = True
            self._clock.call_at(self._clock.now_ns(), self._watch_bands)

    def opening(self, stream: MarketStream, added: Wanted) -> list[AnyMessage]:
        """Return what a client gets at once: whole order books of the crypto pairs that it subscribed to."""
        symbols = frozenset[str]().union(*added.values())
        if not symbols:
            return []
        if stream.feed is TEST:
            self._begin_test()
        elif stream.feed is OPTIONS:
            self._traded_symbols.want(self._options.shares(symbols))
        elif stream.feed is not NEWS:
            self._traded_symbols.want(symbols)
        if stream.feed is not CRYPTO:
            return []
        now_ns = self._clock.now_ns()
        wanted = added["orderbooks"]
        coins = sorted(self._traded_symbols.symbols() if EVERY in wanted else wanted)
        quotes = map(self._market.last_quote, coins)
        return [self._books.begin(quote, now_ns) for quote in quotes if isinstance(quote, CryptoQuote)]

    def _changed_books(self, coins: Sequence[TimedMessage]) -> list[TimedMessage]:
        wanted = self._crypto.wanted["orderbooks"]
        quotes = [quote for quote in coins if isinstance(quote, CryptoQuote)]
        chosen = quotes if EVERY in wanted else [quote for quote in quotes if quote.symbol in wanted]
        return [book for book in map(self._books.follow, chosen) if book is not None]

    def _watch_bands(self) -> None:
        wanted = self._stocks.wanted["lulds"]
        self._watches_bands = bool(wanted)
        if not wanted:
            return
        now_ns = self._clock.now_ns()
        # Bands hold in the regular session only (Limit Up-Limit Down plan).
        if self._hours.phase(now_ns) is Phase.REGULAR:
            symbols = sorted(self._traded_symbols.symbols() if EVERY in wanted else wanted)
            self._stocks.publish([band for band in map(self._due_band, symbols) if band is not None])
        self._clock.call_at(now_ns + BANDS_EVERY_NS, self._watch_bands)

    def _due_band(self, symbol: str) -> PriceBand | None:
        price = None if "/" in symbol else self._market.traded_at(symbol)
        if not price:
            return None
        return self._bands.due(symbol, self._traded_symbols.tape_of(symbol), price, self._clock.now_ns())

    def _send_band(self, symbol: str, make: Callable[..., PriceBand]) -> None:
        price = self._market.traded_at(symbol)
        if price:
            band = make(symbol, self._traded_symbols.tape_of(symbol), price, self._clock.now_ns())
            self._stocks.publish([band])
