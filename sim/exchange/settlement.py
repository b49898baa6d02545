"""Settlement dates of trades: counted in trading days on which New York's banks are open."""

from datetime import date, timedelta

from sim.exchange.sessions import session

# Days to settlement, and since when (SEC Rule 15c6-1 and its changes).
_DAYS_SINCE = ((date(2024, 5, 28), 1), (date(2017, 9, 5), 2), (date.min, 3))


def settlement_day(day: date) -> date:
    """Return the day on which a trade of this trading day settles."""
    left = next(days for since, days in _DAYS_SINCE if day >= since)
    while left:
        day += timedelta(1)
        left -= settles(day)
    return day


def settles(day: date) -> bool:
    """Return whether securities settle on this day: the exchange trades and banks are open."""
    return session(day) is not None and not _is_bank_holiday(day)


def _is_bank_holiday(day: date) -> bool:
    """Return whether it is one of the two bank holidays with trading: Columbus Day and Veterans Day."""
    if day.month == 10:
        return day.weekday() == 0 and 8 <= day.day <= 14
    # Kept on Monday where it falls on a Sunday.
    return day.month == 11 and (day.day == 11 or (day.day == 12 and day.weekday() == 0))
