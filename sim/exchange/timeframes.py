"""Longer bars made of minute bars, by Alpaca's names of timeframes."""

import re

from sim import refusals
from sim.exchange.market_messages import Bar
from sim.times import SECOND_NS

MINUTE_NS = 60 * SECOND_NS
_NAME = re.compile(r"(\d{1,2})(Min|T|Hour|H|Day|D|Week|W)")
_UNITS_NS = {
    "Min": MINUTE_NS,
    "T": MINUTE_NS,
    "Hour": 60 * MINUTE_NS,
    "H": 60 * MINUTE_NS,
    "Day": 1440 * MINUTE_NS,
    "D": 1440 * MINUTE_NS,
    "Week": 7 * 1440 * MINUTE_NS,
    "W": 7 * 1440 * MINUTE_NS,
}


def period(timeframe: str) -> int:
    """The timeframe's length in nanoseconds; raises Refused (400) for another name."""
    named = _NAME.fullmatch(timeframe)
    if named is None or int(named[1]) == 0:
        raise refusals.Refused(
            400, None, f"invalid timeframe {timeframe}; allowed: 1Min to 59Min, 1Hour to 23Hour, 1Day, 1Week"
        )
    return int(named[1]) * _UNITS_NS[named[2]]


def aggregate(minutes: list[Bar], length_ns: int) -> list[Bar]:
    """Bars of one symbol, in order of time, put together into longer ones aligned to 1970 UTC."""
    if length_ns == MINUTE_NS:
        return minutes
    made: list[Bar] = []
    for bar in minutes:
        start_ns = bar.time_ns - bar.time_ns % length_ns
        if made and made[-1].time_ns == start_ns:
            made[-1] = _joined(made[-1], bar)
        else:
            made.append(
                Bar(
                    bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count,
                    bar.vwap, start_ns,
                )
            )  # fmt: skip
    return made


def _joined(first: Bar, second: Bar) -> Bar:
    volume = first.volume + second.volume
    value = first.vwap * first.volume + second.vwap * second.volume
    return Bar(
        first.symbol,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        volume,
        first.trade_count + second.trade_count,
        round(value / volume, 6) if volume else second.close,
        first.time_ns,
    )
