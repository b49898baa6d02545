"""The effects of faults on the market: jumps, senseless quotes, halts, canceled trades."""

import copy
from collections.abc import Callable
from typing import Any

from bus.errors import InvalidInput
from sim.clock import Clock
from sim.exchange.generator import Generator
from sim.exchange.market import Market
from sim.exchange.market_messages import AnyQuote, CryptoQuote
from sim.incidents.fault_switch import Effect, Effects
from sim.incidents.market_events import MarketEvents
from sim.streams.market_streams import MarketStreams
from sim.times import SECOND_NS

_STALE_NS = 60 * SECOND_NS
_HALT_REASON = "news_pending"


def on_market(
    events: MarketEvents, market: Market, streams: MarketStreams, generator: Generator | None, clock: Clock
) -> Effects:
    """Return the effects; each raises InvalidInput where it cannot act.

    `generator` is None where a recording is played.
    """

    def jump(fault: dict[str, Any]) -> None:
        symbol = fault["symbol"]
        if generator is None or not generator.jump(symbol, fault["percent"]):
            raise InvalidInput(f"symbol is {symbol!r}; allowed: one whose prices are generated here")

    def show_bad_quote(fault: dict[str, Any]) -> None:
        quote = market.last_quote(fault["symbol"])
        if quote is None:
            raise InvalidInput(f"symbol is {fault['symbol']!r}; allowed: one that is being quoted")
        bad = copy.copy(quote)
        bad.time_ns = clock.now_ns()
        _SPOILERS[fault["quote"]](bad)
        streams.send([bad])

    def halt(fault: dict[str, Any]) -> None:
        if not market.is_halted(fault["symbol"]):
            events.halt(fault["symbol"], _HALT_REASON)

    def resume(fault: dict[str, Any]) -> None:
        if market.is_halted(fault["symbol"]):
            events.resume(fault["symbol"])

    def correct(fault: dict[str, Any]) -> None:
        events.correct(fault["symbol"], None, None, fault["size"])

    def cancel(fault: dict[str, Any]) -> None:
        events.cancel(fault["symbol"], None, is_error=False)

    begun: dict[str, Effect] = {
        "price_jump": jump,
        "bad_quote": show_bad_quote,
        "halt": halt,
        "correct_trade": correct,
        "cancel_trade": cancel,
    }
    return Effects(begun, {"halt": resume})


def _cross(quote: AnyQuote) -> None:
    """Put the bid above the ask."""
    quote.bid_price, quote.ask_price = round(quote.ask_price * 1.01, 2), quote.bid_price


def _empty(quote: AnyQuote) -> None:
    """Remove bid and ask."""
    quote.bid_price = quote.ask_price = 0.0
    quote.bid_size = quote.ask_size = 0.0 if isinstance(quote, CryptoQuote) else 0


def _age(quote: AnyQuote) -> None:
    """Make the quote a minute old."""
    quote.time_ns -= _STALE_NS


_SPOILERS: dict[str, Callable[[AnyQuote], None]] = {"crossed": _cross, "zero": _empty, "stale": _age}
