"""The bars kept: minutes bounded, days longer, and both made again after a late or changed trade."""

from sim.exchange.bar_history import BarHistory
from sim.exchange.market_messages import Bar
from sim.exchange.timeframes import DAY_NS
from sim.times import MINUTE_NS, parse_ns

MONDAY_NS = parse_ns("2026-01-05T05:00:00Z")


def minute(number: int, volume: int = 1, price: float = 10.0) -> Bar:
    return Bar("AAPL", price, price, price, price, volume, 1, price, MONDAY_NS + number * MINUTE_NS)


def played(count: int, symbols: int = 1) -> BarHistory:
    history = BarHistory(symbols)
    for number in range(count):
        history.add(minute(number))
    return history


def volumes(history: BarHistory) -> list[float]:
    return [day.volume for day in history.days("AAPL")]


def test_minutes_are_kept_for_a_week_and_days_far_longer() -> None:
    history = played(10 * 1440)
    assert len(history.minutes("AAPL")) == 7 * 1440
    assert volumes(history) == [1440] * 10
    assert [day.time_ns for day in history.days("AAPL")] == [MONDAY_NS + day * DAY_NS for day in range(10)]


def test_of_many_symbols_each_has_a_share_and_days_are_whole_all_the_same() -> None:
    history = played(2 * 1440, symbols=1_000)
    assert len(history.minutes("AAPL")) == 170
    assert volumes(history) == [1440, 1440]


def test_a_minute_told_anew_takes_the_place_of_the_old_one_also_in_its_day() -> None:
    history = played(1500)
    history.amend("AAPL", minute(3).time_ns, minute(3, volume=101, price=50.0))
    assert history.minutes("AAPL")[3].volume == 101
    assert (volumes(history), history.days("AAPL")[0].high) == ([1540, 60], 50.0)


def test_a_minute_that_had_no_trades_takes_its_place_in_time() -> None:
    history = BarHistory()
    history.add(minute(5))
    history.amend("AAPL", minute(2).time_ns, minute(2, price=9.0))
    assert [bar.time_ns for bar in history.minutes("AAPL")] == [minute(2).time_ns, minute(5).time_ns]
    assert (history.days("AAPL")[0].open, volumes(history)) == (9.0, [2])


def test_a_first_minute_that_comes_late_begins_the_day() -> None:
    history = BarHistory()
    history.amend("AAPL", minute(0).time_ns, minute(0))
    history.add(minute(1))
    assert volumes(history) == [2]


def test_a_minute_without_trades_left_goes_and_the_next_begins_its_day_again() -> None:
    history = played(3)
    history.add(minute(1440))
    history.amend("AAPL", minute(1440).time_ns, None)
    assert volumes(history) == [3]
    history.add(minute(1441))
    assert volumes(history) == [3, 1]
    for number in range(3):
        history.amend("AAPL", minute(number).time_ns, None)
    assert volumes(history) == [1]


def test_a_minute_older_than_those_kept_stays_as_it_was() -> None:
    history = played(1000, symbols=1_000)
    history.amend("AAPL", minute(1).time_ns, minute(1, volume=500))
    history.amend("AAPL", minute(900).time_ns, minute(900, volume=500))
    assert len(history.minutes("AAPL")) == 170
    assert sum(bar.volume for bar in history.minutes("AAPL")) == 169 + 500
    # The day's first minutes are kept no more: its bar cannot be made again.
    assert volumes(history) == [1000]
