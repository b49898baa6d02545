"""Makes the daily bar again after each minute, once the market has opened."""

from collections.abc import Sequence

from sim.exchange.bar_history import BarHistory
from sim.exchange.hours import MarketHours, Phase
from sim.exchange.market_messages import Bar, DailyBar
from sim.times import MINUTE_NS


def daily_bars(ended: Sequence[Bar], history: BarHistory, hours: MarketHours) -> list[DailyBar]:
    """Return the days of symbols whose minute has ended; history already holds these minutes.

    A share's day is sent from its opening on, and includes the trades before the opening.
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
