"""Generates quotes and trades of any number of symbols from a seed and the times passed in."""

import math
import random
from collections.abc import Iterable

from sim.exchange.assets import Asset
from sim.exchange.market_messages import AnyQuote, AnyTrade, CryptoQuote, CryptoTrade, Quote, Trade
from sim.exchange.tapes import tape_of
from sim.times import SECOND_NS

TRADE_SHARE = 0.25  # three quotes to a trade, about as on consolidated tapes
_PULL = 0.02  # mean reversion of the walk, which spreads over about 3.5 units
_EXCHANGES = "VNQPZ"
_STOCK_CONDITIONS = ["@"]
_QUOTE_CONDITIONS = ["R"]
_STOCK_SIZES = (1, 5, 10, 25, 50, 100, 100, 100, 200, 300)


class _Instrument:
    """One symbol's price in units of `unit_cents`: an oscillation plus a mean-reverting random walk."""

    __slots__ = (
        "amplitude",
        "ask",
        "asset",
        "base",
        "bid",
        "last_id",
        "period_s",
        "phase",
        "tape",
        "unit_cents",
        "walk",
    )

    def __init__(self, asset: Asset, rng: random.Random) -> None:
        self.asset = asset
        # A stock moves in cents; a crypto pair in steps of the same size relative to its price.
        self.unit_cents = max(1, asset.opening_price_cents // 50_000) if asset.is_crypto else 1
        self.base = asset.opening_price_cents // self.unit_cents
        self.amplitude = min(max(6.0, self.base * 0.0004), self.base / 10)
        self.period_s = rng.uniform(6.0, 14.0)
        self.phase = rng.uniform(0.0, 2 * math.pi)
        self.tape = tape_of(asset)
        self.walk = 0
        self.last_id = 0
        self.bid = self.base
        self.ask = self.base + 1

    def move(self, elapsed_s: float, rng: random.Random) -> None:
        """Take one step and set the new bid and ask, one or two units apart."""
        draw = rng.random()
        self.walk += 1 if draw < 0.5 - self.walk * _PULL else -1
        swing = self.amplitude * math.sin(self.phase + 2 * math.pi * elapsed_s / self.period_s)
        self.bid = max(1, self.base + self.walk + round(swing))
        self.ask = self.bid + (1 if draw * 16 % 1 < 0.7 else 2)

    def price(self, units: int) -> float:
        """Return units in dollars."""
        return units * self.unit_cents / 100


class Generator:
    """Makes messages on demand; the same seed, symbols and times give the same messages."""

    def __init__(self, assets: Iterable[Asset], seed: int) -> None:
        self._rng = random.Random(seed)
        self._instruments: list[_Instrument] = []
        self._symbols: set[str] = set()
        self._start_ns: int | None = None
        for asset in assets:
            self.add(asset)

    def add(self, asset: Asset) -> bool:
        """Add a symbol; returns False if it is there already."""
        if asset.symbol in self._symbols:
            return False
        self._symbols.add(asset.symbol)
        self._instruments.append(_Instrument(asset, self._rng))
        return True

    def jump(self, symbol: str, percent: float) -> bool:
        """Raise or lower the price from now on; returns False for a symbol that is not there."""
        for instrument in self._instruments:
            if instrument.asset.symbol == symbol:
                instrument.base = max(1, round(instrument.base * (100 + percent) / 100))
                return True
        return False

    def opening(self, symbol: str, time_ns: int) -> tuple[AnyQuote, AnyTrade]:
        """Return the first quote and trade, before anything moves."""
        instrument = next(one for one in self._instruments if one.asset.symbol == symbol)
        return self._quote(instrument, time_ns), self._trade(instrument, time_ns)

    def messages(self, count: int, from_ns: int, until_ns: int) -> list[AnyQuote | AnyTrade]:
        """Return the next `count` messages, their times spread evenly over the interval."""
        if self._start_ns is None:
            self._start_ns = from_ns
        rng, instruments = self._rng, self._instruments
        many = len(instruments)
        step_ns = (until_ns - from_ns) // count
        elapsed_s = (from_ns - self._start_ns) / SECOND_NS
        made: list[AnyQuote | AnyTrade] = []
        for index in range(count):
            instrument = instruments[int(rng.random() * many)]
            time_ns = from_ns + step_ns * (index + 1)
            if rng.random() < TRADE_SHARE:
                made.append(self._trade(instrument, time_ns))
            else:
                instrument.move(elapsed_s, rng)
                made.append(self._quote(instrument, time_ns))
        return made

    def _quote(self, instrument: _Instrument, time_ns: int) -> AnyQuote:
        bid, ask = instrument.price(instrument.bid), instrument.price(instrument.ask)
        bid_size, ask_size = 1 + int(self._rng.random() * 9), 1 + int(self._rng.random() * 9)
        symbol = instrument.asset.symbol
        if instrument.asset.is_crypto:
            return CryptoQuote(symbol, bid, bid_size / 10, ask, ask_size / 10, time_ns)
        exchange = _EXCHANGES[bid_size % 5]
        return Quote(
            symbol, exchange, bid, bid_size, "Q", ask, ask_size, _QUOTE_CONDITIONS, instrument.tape, time_ns
        )

    def _trade(self, instrument: _Instrument, time_ns: int) -> AnyTrade:
        instrument.last_id += 1
        draw = self._rng.random()
        buys = draw < 0.5
        price = instrument.price(instrument.ask if buys else instrument.bid)
        size = _STOCK_SIZES[int(draw * 1000) % len(_STOCK_SIZES)]
        symbol = instrument.asset.symbol
        if instrument.asset.is_crypto:
            return CryptoTrade(symbol, instrument.last_id, price, size / 1000, "B" if buys else "S", time_ns)
        exchange = _EXCHANGES[size % 5]
        return Trade(
            symbol, instrument.last_id, exchange, price, size, _STOCK_CONDITIONS, instrument.tape, time_ns
        )
