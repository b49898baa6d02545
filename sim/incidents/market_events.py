"""Makes market events beside quotes and trades, and sends them to the streams."""

import itertools
import random
from collections.abc import Sequence

from bus.errors import InvalidInput
from sim.clock import Clock
from sim.exchange.market_messages import (
    AnyTrade,
    Article,
    Bar,
    CancelError,
    Correction,
    CryptoTrade,
    Imbalance,
    Status,
    Trade,
    UpdatedBar,
    share_size,
)
from sim.exchange.news_archive import NewsArchive
from sim.exchange.statuses import halted, resumed
from sim.exchange.traded_symbols import TradedSymbols
from sim.exchange.venue import Venue
from sim.streams.market_streams import MarketStreams
from sim.streams.subscription import EVERY
from sim.times import MINUTE_NS

_LATE_NS = 1_000_000  # a late trade happened so long before the end of its bar
_FIRST_ID = 10**12  # ids of trades that are not played, from here on


class MarketEvents:
    """Makes events happen now; each method raises InvalidInput naming what is wrong.

    `bar_ns` is the period of the bars on the stream; a bar is updated half a period after it ended.
    """

    def __init__(
        self,
        venue: Venue,
        traded_symbols: TradedSymbols,
        streams: MarketStreams,
        news_archive: NewsArchive,
        clock: Clock,
        bar_ns: int,
    ) -> None:
        self._venue = venue
        self._traded_symbols = traded_symbols
        self._streams = streams
        self._news_archive = news_archive
        self._clock = clock
        self._bar_ns = bar_ns
        self._ids = itertools.count(_FIRST_ID)
        self._updated: dict[tuple[str, int], UpdatedBar] = {}

    def halt(self, symbol: str, reason: str) -> list[Status]:
        """Halt trading in a share, or in every share (`*`), for a reason by name or by its tape's code."""
        now_ns = self._clock.now_ns()
        shares = self._shares(symbol, are_halted=False)
        statuses = [halted(share, self._traded_symbols.tape_of(share), reason, now_ns) for share in shares]
        self._streams.send(statuses)
        for share in shares:
            self._venue.halt(share)
            self._streams.suspend_band(share)
        return statuses

    def resume(self, symbol: str) -> list[Status]:
        """Resume trading in a halted share, or in every one (`*`)."""
        now_ns = self._clock.now_ns()
        shares = self._shares(symbol, are_halted=True)
        statuses = [
            told for share in shares for told in resumed(share, self._traded_symbols.tape_of(share), now_ns)
        ]
        self._streams.send(statuses)
        for share in shares:
            self._streams.resume_band(share)
            self._venue.resume(share, now_ns)
        return statuses

    def correct(
        self, symbol: str, trade_id: int | None, price: float | None, size: float | None
    ) -> Correction:
        """Correct a past trade (by default the last): its price, its size, or both."""
        wrong = self._past_trade(symbol, trade_id)
        right = Trade(
            symbol,
            next(self._ids),
            wrong.exchange,
            wrong.price if price is None else price,
            wrong.size if size is None else share_size(size),
            wrong.conditions,
            wrong.tape,
            wrong.time_ns,
        )
        self._venue.market.correct_trade(symbol, wrong.id, right)
        told = Correction(
            symbol, wrong.exchange, wrong.id, wrong.price, wrong.size, wrong.conditions, right.id,
            right.price, right.size, right.conditions, wrong.tape, self._clock.now_ns(),
        )  # fmt: skip
        self._streams.send([told])
        self._recount(wrong)
        return told

    def cancel(self, symbol: str, trade_id: int | None, is_error: bool) -> CancelError:
        """Cancel a past trade (by default the last)."""
        wrong = self._past_trade(symbol, trade_id)
        self._venue.market.cancel_trade(symbol, wrong.id)
        action = "E" if is_error else "C"
        told = CancelError(
            symbol,
            wrong.id,
            wrong.exchange,
            wrong.price,
            wrong.size,
            action,
            wrong.tape,
            self._clock.now_ns(),
        )
        self._streams.send([told])
        self._recount(wrong)
        return told

    def trade_late(self, symbol: str, price: float | None, size: float) -> AnyTrade:
        """Report a trade after its bar has ended, by default at the price of the last one."""
        now_ns = self._clock.now_ns()
        self._streams.send(self._venue.close_bars(now_ns))
        traded_at = self._venue.market.traded_at(symbol)
        if traded_at is None:
            raise InvalidInput(f"symbol is {symbol!r}; allowed: one that has traded")
        price = float(traded_at) if price is None else price
        time_ns = now_ns - now_ns % self._bar_ns - _LATE_NS
        trade: AnyTrade
        if "/" in symbol:
            trade = CryptoTrade(symbol, next(self._ids), price, float(size), "B", time_ns)
        else:
            tape = self._traded_symbols.tape_of(symbol)
            trade = Trade(symbol, next(self._ids), "D", price, share_size(size), ["@"], tape, time_ns)
        updated = self._venue.trade_late(trade)
        self._streams.send([trade])
        if updated is not None:
            self._tell_updated(updated)
        return trade

    def imbalance(self, symbol: str, price: float) -> Imbalance:
        """Report orders of one side without a counterpart, as in a pause before trading resumes."""
        told = Imbalance(symbol, price, self._share(symbol), self._clock.now_ns())
        self._streams.send([told])
        return told

    def report(
        self, headline: str, summary: str, author: str, content: str, symbols: Sequence[str]
    ) -> Article:
        """Publish a news article."""
        now_ns = self._clock.now_ns()
        article = self._news_archive.write(headline, summary, author, content, symbols, now_ns)
        self._streams.send_article(article)
        return article

    def invent_report(self, rng: random.Random) -> None:
        """Publish a randomly drawn news article."""
        symbols = self._traded_symbols.symbols()
        if symbols:
            article = self._news_archive.invent(rng, symbols, self._clock.now_ns())
            self._streams.send_article(article)

    def invent_mistake(self, rng: random.Random) -> None:
        """Correct or cancel the last trade of a random share, or report one of it late.

        While the market is closed nothing happens.
        """
        if self._venue.is_closed(self._clock.now_ns()):
            return
        traded = [
            symbol
            for symbol in self._traded_symbols.symbols()
            if "/" not in symbol and self._last_valid(symbol) is not None
        ]
        if not traded:
            return
        symbol = rng.choice(traded)
        draw = rng.randrange(3)
        if draw == 0:
            last = self._last_valid(symbol)
            assert last is not None
            self.correct(symbol, last.id, None, last.size + 1)
        elif draw == 1:
            self.cancel(symbol, None, rng.randrange(4) == 0)
        else:
            self.trade_late(symbol, None, 100)

    def _shares(self, symbol: str, are_halted: bool) -> list[str]:
        """Return the share, or for `*` every share, that is halted, or that is not."""
        market = self._venue.market
        if symbol == EVERY:
            shares = [one for one in self._traded_symbols.symbols() if "/" not in one]
            return [share for share in shares if market.is_halted(share) == are_halted]
        self._share(symbol)
        if market.is_halted(symbol) != are_halted:
            how = "not halted" if are_halted else "halted already"
            raise InvalidInput(
                f"symbol is {symbol!r}, which is {how}; allowed: another, or * for every share"
            )
        return [symbol]

    def _share(self, symbol: str) -> str:
        """Return the tape of a share that is being played."""
        if "/" in symbol or self._venue.market.touch(symbol) is None:
            raise InvalidInput(f"symbol is {symbol!r}; allowed: a share that is being played")
        return self._traded_symbols.tape_of(symbol)

    def _last_valid(self, symbol: str) -> Trade | None:
        last = self._venue.market.last_trade(symbol)
        return last if isinstance(last, Trade) else None

    def _past_trade(self, symbol: str, trade_id: int | None) -> Trade:
        self._share(symbol)
        market = self._venue.market
        if trade_id is None:
            last = self._last_valid(symbol)
            if last is None:
                raise InvalidInput(f"symbol is {symbol!r}; allowed: one that has traded")
            return last
        for trade in reversed(market.trades(symbol)):
            if trade.id == trade_id and isinstance(trade, Trade):
                if market.change_of(trade) in (None, "corrected"):
                    return trade
                raise InvalidInput(f"id is {trade_id}, which is {market.change_of(trade)} already")
        raise InvalidInput(f"id is {trade_id}; allowed: the id of a trade of {symbol} that is kept")

    def _recount(self, trade: Trade) -> None:
        """Send a trade's bar again if it is over and its trades are still kept."""
        bar = self._venue.recount_minute(trade.symbol, trade.time_ns)
        unfinished = self._venue.unfinished_bar(trade.symbol)
        is_open = bar is not None and unfinished is not None and unfinished.time_ns == bar.time_ns
        if bar is not None and not is_open and self._bar_ns == MINUTE_NS:
            self._tell_updated(bar)

    def _tell_updated(self, bar: Bar) -> None:
        """Send the bar at the next half-period mark, with all changes until then."""
        place = (bar.symbol, bar.time_ns)
        is_due = place in self._updated
        self._updated[place] = _updated(bar)
        if not is_due:
            half_ns = self._bar_ns // 2
            now_ns = self._clock.now_ns()
            self._clock.call_at(
                now_ns - now_ns % half_ns + half_ns, lambda: self._streams.send([self._updated.pop(place)])
            )


def _updated(bar: Bar) -> UpdatedBar:
    return UpdatedBar(
        bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count, bar.vwap, bar.time_ns
    )
