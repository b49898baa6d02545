"""Limit up and limit down: how wide the bands are, and when they are sent."""

from decimal import Decimal

import pytest

from sim.exchange.price_bands import REPEAT_NS, PriceBands, band
from sim.times import SECOND_NS

NOW_NS = 1_800_000_000 * SECOND_NS


@pytest.mark.parametrize(
    ("symbol", "reference", "down", "up"),
    [
        ("AAPL", "200", "190.00", "210.00"),
        ("ZZZZ", "200", "180.00", "220.00"),
        ("ZZZZ", "3.00", "2.40", "3.60"),
        ("AAPL", "1.00", "0.80", "1.20"),
        ("ZZZZ", "0.50", "0.35", "0.65"),
        ("ZZZZ", "0.10", "0.03", "0.18"),
    ],
)
def test_bands_are_as_wide_as_the_plan_says(symbol: str, reference: str, down: str, up: str) -> None:
    assert band(symbol, Decimal(reference)) == (Decimal(down), Decimal(up))


def test_bands_are_told_when_new_when_the_price_moved_and_every_half_minute() -> None:
    bands = PriceBands()

    def told(price: str, after_s: int) -> tuple[str, float] | None:
        message = bands.due("AAPL", "C", Decimal(price), NOW_NS + after_s * SECOND_NS)
        return None if message is None else (message.indicator, message.limit_up)

    assert told("100", 0) == ("A", 105.0)
    assert told("100.99", 1) is None
    assert told("101", 2) == ("B", 106.05)
    assert told("101.5", 3) is None
    assert told("101.5", 2 + REPEAT_NS // SECOND_NS) == ("C", 106.05)


def test_no_band_holds_in_a_halt_and_a_new_one_after_it() -> None:
    bands = PriceBands()
    bands.due("AAPL", "C", Decimal(100), NOW_NS)
    suspended = bands.suspend("AAPL", "C", Decimal(103), NOW_NS)
    assert (suspended.indicator, suspended.limit_up) == ("D", 105.0)
    assert bands.due("AAPL", "C", Decimal(150), NOW_NS + 10 * REPEAT_NS) is None
    reopened = bands.resume("AAPL", "C", Decimal(150), NOW_NS)
    assert (reopened.indicator, reopened.limit_up) == ("E", 157.5)
