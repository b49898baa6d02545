"""Settlement dates of trades."""

from datetime import date, timedelta

import pytest

from sim.exchange.sessions import session
from sim.exchange.settlement import settlement_day, settles


@pytest.mark.parametrize(
    ("traded", "settled"),
    [
        (date(2025, 1, 2), date(2025, 1, 3)),
        (date(2026, 10, 8), date(2026, 10, 9)),
        (date(2026, 10, 9), date(2026, 10, 13)),  # not on Columbus Day, when the banks are closed
        (date(2026, 10, 12), date(2026, 10, 13)),
        (date(2026, 11, 10), date(2026, 11, 12)),  # nor on Veterans Day
        (date(2026, 11, 25), date(2026, 11, 27)),  # nor on Thanksgiving
        (date(2024, 5, 24), date(2024, 5, 29)),  # two days, until 27 May 2024
        (date(2024, 5, 28), date(2024, 5, 29)),
        (date(2017, 9, 1), date(2017, 9, 7)),  # three, until 4 September 2017
    ],
)
def test_trades_settle_when_exchange_and_banks_are_open(traded: date, settled: date) -> None:
    assert settlement_day(traded) == settled


def test_nothing_settles_where_nothing_trades() -> None:
    days = [date(2026, 1, 1) + timedelta(n) for n in range(365)]
    assert all(session(day) is not None for day in days if settles(day))
    assert [day for day in days if session(day) is not None and not settles(day)] == [
        date(2026, 10, 12), date(2026, 11, 11),
    ]  # fmt: skip
