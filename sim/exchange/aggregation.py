"""Makes longer bars of shorter ones."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from sim.exchange.market_messages import Bar
from sim.exchange.timeframes import Timeframe, period


def aggregate(bars: Iterable[Bar], timeframe: Timeframe, zone: ZoneInfo) -> list[Bar]:
    """Combine one symbol's bars, in order of time, into bars of a timeframe.

    None of them may be longer than the timeframe. A period without bars has none.
    """
    made: list[Bar] = []
    end_ns = 0
    for bar in bars:
        if made and bar.time_ns < end_ns:
            made[-1] = joined(made[-1], bar)
        else:
            start_ns, end_ns = period(bar.time_ns, timeframe, zone)
            made.append(starting(bar, start_ns))
    return made


def starting(bar: Bar, start_ns: int) -> Bar:
    """Return the bar as the first part of a longer one."""
    return Bar(
        bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count, bar.vwap, start_ns
    )


def joined(first: Bar, second: Bar) -> Bar:
    """Join two consecutive bars; the time is the first one's."""
    volume = first.volume + second.volume
    value = first.vwap * first.volume + second.vwap * second.volume
    return Bar(
        first.symbol,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        volume if isinstance(volume, int) else round(volume, 9),
        first.trade_count + second.trade_count,
        round(value / volume, 6) if volume else second.close,
        first.time_ns,
    )
