"""The day so far, told again after each minute once the market has opened."""

from collections.abc import Sequence

from sim.exchange.bar_history import BarHistory
from sim.exchange.hours import MarketHours, Phase
from sim.exchange.market_messages import Bar, DailyBar
from sim.times import MINUTE_NS


def daily_bars(ended: Sequence[Bar], history: BarHistory, hours: MarketHours) -> list[DailyBar]:
    """The days of symbols whose minute has ended; history holds these minutes already.

    A share's day is told from its opening on, with all trades of the day in it, those before the opening too.
    """
    if not ended:
        return []
    phase = hours.phase(max(bar.time_ns for bar in ended) + MINUTE_NS)
    has_opened = phase in (Phase.REGULAR, Phase.AFTER_HOURS)
    symbols = [bar.symbol for bar in ended if has_opened or "/" in bar.symbol]
    return [_told(history.days(symbol)[-1]) for symbol in symbols]


def _told(day: Bar) -> DailyBar:
    return DailyBar(
        day.symbol, day.open, day.high, day.low, day.close, day.volume, day.trade_count, day.vwap, day.time_ns
    )
