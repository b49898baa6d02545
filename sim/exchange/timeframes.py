"""The timeframes of bars by Alpaca's names, and where their periods begin and end."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sim import refusals
from sim.exchange.sessions import NEW_YORK
from sim.times import MINUTE_NS, SECOND_NS

DAY_NS = 1440 * MINUTE_NS
# Days of coins begin at midnight in Chicago: seen at 06:00 UTC in winter (alpaca-py issue 169).
CHICAGO = ZoneInfo("America/Chicago")

_NAME = re.compile(r"([0-9]{1,2})(Min|T|Hour|H|Day|D|Week|W|Month|M)")
_UNITS = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
_COUNTS = {
    "Min": range(1, 60),
    "Hour": range(1, 24),
    "Day": (1,),
    "Week": (1,),
    "Month": (1, 2, 3, 4, 6, 12),
}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A number of units: Min, Hour, Day, Week or Month."""

    count: int
    unit: str

    @property
    def is_of_days(self) -> bool:
        """Whether its periods are made of whole days."""
        return self.unit in ("Day", "Week", "Month")


MINUTE = Timeframe(1, "Min")
DAY = Timeframe(1, "Day")


def timeframe(name: str) -> Timeframe:
    """Return the timeframe of a name such as 5Min, 5T, 1Hour or 3M. Raises Refused (400) for another name."""
    named = _NAME.fullmatch(name)
    if named is not None:
        unit = _UNITS.get(named[2], named[2])
        if int(named[1]) in _COUNTS[unit]:
            return Timeframe(int(named[1]), unit)
    raise refusals.Refused(400, None, f"invalid timeframe: {name}")


def zone_of(symbol: str) -> ZoneInfo:
    """Return the zone at whose midnight the days of the symbol's bars begin."""
    return CHICAGO if "/" in symbol else NEW_YORK


def period(time_ns: int, timeframe: Timeframe, zone: ZoneInfo) -> tuple[int, int]:
    """Return start and end, in nanoseconds since 1970, of the period that holds the moment; end is exclusive.

    Minutes and hours are counted from midnight UTC, so the last of a day may be shorter. Days begin at the
    zone's midnight, weeks on Monday, months on the first; several months are counted from January.
    """
    if not timeframe.is_of_days:
        length_ns = timeframe.count * (MINUTE_NS if timeframe.unit == "Min" else 60 * MINUTE_NS)
        within_ns = time_ns % DAY_NS
        day_ns = time_ns - within_ns
        start_ns = within_ns - within_ns % length_ns
        return day_ns + start_ns, day_ns + min(start_ns + length_ns, DAY_NS)
    today = datetime.fromtimestamp(time_ns // SECOND_NS, zone).date()
    if timeframe.unit == "Day":
        first, next_first = today, today + timedelta(1)
    elif timeframe.unit == "Week":
        first = today - timedelta(today.weekday())
        next_first = first + timedelta(7)
    else:
        month = (today.month - 1) // timeframe.count * timeframe.count
        first = date(today.year, month + 1, 1)
        following = month + timeframe.count
        next_first = date(today.year + following // 12, following % 12 + 1, 1)
    return _midnight_ns(first, zone), _midnight_ns(next_first, zone)


def _midnight_ns(day: date, zone: ZoneInfo) -> int:
    """Return when the day begins in the zone, in nanoseconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND_NS
