"""Portfolio history in windows and days, and its profit to the cent."""

from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.accounts.valuation import Valuation
from sim.broker.equity import EquityCurve
from sim.broker.portfolio_history import DAILY, PortfolioHistory, Span, portfolio_history
from sim.clock import VirtualClock
from sim.times import SECOND_NS, parse_ns

MINUTE_NS = 60 * SECOND_NS
MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
OPEN_NS = parse_ns("2026-01-05T09:30:00-05:00")
CLOSE_NS = parse_ns("2026-01-05T16:00:00-05:00")
TUESDAY_OPEN_NS = parse_ns("2026-01-06T09:30:00-05:00")


def curve_until(end_ns: int, opened_ns: int = OPEN_NS) -> EquityCurve:
    """Worth $100,000 when it is opened, and a dollar more with each minute."""
    curve = EquityCurve(opened_ns, Decimal(100_000))
    for number, now_ns in enumerate(range(opened_ns + MINUTE_NS, end_ns + 1, MINUTE_NS), start=1):
        curve.note(now_ns, Decimal(100_000 + number))
    return curve


def asked(curve: EquityCurve, now_ns: int, never_closes: bool = False, **fields: Any) -> PortfolioHistory:
    usual: dict[str, Any] = {
        "timeframe": "1Min", "first_day": MONDAY, "last_day": TUESDAY, "start_ns": 0, "end_ns": now_ns,
    }  # fmt: skip
    equity = curve.at(now_ns)
    assert equity is not None
    return portfolio_history(curve, equity, now_ns, Span(**(usual | fields)), never_closes)


def test_a_window_is_worth_what_the_account_is_worth_at_its_end() -> None:
    now_ns = OPEN_NS + 4 * MINUTE_NS + 30 * SECOND_NS
    found = asked(curve_until(now_ns), now_ns)
    assert [point.time_s for point in found.points] == [OPEN_NS // SECOND_NS + 60 * n for n in range(5)]
    assert [point.equity for point in found.points] == [100_001, 100_002, 100_003, 100_004, 100_004]
    assert (found.base, found.base_day) == (100_000, None)
    assert [point.profit for point in found.points] == [1, 2, 3, 4, 4]


def test_an_account_that_stays_as_it_is_has_windows_too() -> None:
    curve = EquityCurve(OPEN_NS, Decimal(100_000))
    for number, value in enumerate((100_000, 100_000, 99_000, 99_000, 100_000), start=1):
        curve.note(OPEN_NS + number * MINUTE_NS, Decimal(value))
    found = asked(curve, OPEN_NS + 5 * MINUTE_NS)
    assert [point.equity for point in found.points] == [100_000, 100_000, 99_000, 99_000, 100_000, 100_000]


def test_longer_windows_begin_with_the_session() -> None:
    now_ns = OPEN_NS + 150 * MINUTE_NS
    found = asked(curve_until(now_ns), now_ns, timeframe="1H")
    times = [point.time_s - OPEN_NS // SECOND_NS for point in found.points]
    assert times == [0, 3600, 7200]
    assert [point.equity for point in found.points] == [100_060, 100_120, 100_150]


def test_a_new_day_is_measured_against_the_close_before() -> None:
    now_ns = TUESDAY_OPEN_NS + 2 * MINUTE_NS
    curve = curve_until(now_ns)
    assert curve.close_before(TUESDAY) is not None
    found = asked(curve, now_ns, timeframe="15Min", first_day=TUESDAY)
    assert (found.base, found.base_day) == (100_390, MONDAY)
    assert [point.profit for point in found.points] == [1052]  # of the 17.5 hours since, and two minutes


def test_profit_begins_anew_each_day_unless_it_shall_not() -> None:
    now_ns = TUESDAY_OPEN_NS
    curve = curve_until(now_ns)
    daily = asked(curve, now_ns, timeframe="15Min")
    assert daily.points[-1].profit == daily.points[-1].equity - 100_390
    lasting = asked(curve, now_ns, timeframe="15Min", resets_daily=False)
    assert lasting.points[-1].profit == lasting.points[-1].equity - 100_000


def test_what_is_too_long_ago_is_forgotten_and_its_closes_are_not() -> None:
    curve = curve_until(OPEN_NS + 40 * 24 * 60 * MINUTE_NS)
    assert curve.at(OPEN_NS + MINUTE_NS) is None
    assert curve.at(OPEN_NS + 10 * 24 * 60 * MINUTE_NS) == 100_000 + 10 * 24 * 60
    assert curve.closes[0].day == MONDAY


def test_sessions_are_reported_as_asked_for() -> None:
    opened_ns = parse_ns("2026-01-05T03:00:00-05:00")
    now_ns = parse_ns("2026-01-05T21:00:00-05:00")
    curve = curve_until(now_ns, opened_ns)

    def hours(reporting: str) -> tuple[int, int]:
        points = asked(curve, now_ns, timeframe="15Min", last_day=MONDAY, reporting=reporting).points
        begin = parse_ns("2026-01-05T00:00:00-05:00") // SECOND_NS
        return (points[0].time_s - begin) // 900, (points[-1].time_s - begin) // 900

    assert hours("market_hours") == (38, 64)  # 9:30 to 16:00
    assert hours("extended_hours") == (16, 80)  # 4:00 to 20:00
    assert hours("continuous") == (12, 84)  # since it was opened, until now


def test_a_market_that_never_closes_has_windows_at_all_times() -> None:
    opened_ns = parse_ns("2026-01-04T12:00:30-05:00")  # a Sunday
    now_ns = opened_ns + 3 * MINUTE_NS
    curve = curve_until(now_ns, opened_ns)
    found = asked(curve, now_ns, True, first_day=date(2026, 1, 4), last_day=date(2026, 1, 4))
    assert len(found.points) == 4
    assert found.points[-1].equity == 100_003


def test_days_are_named_for_the_end_of_their_evening_and_worth_their_close() -> None:
    now_ns = TUESDAY_OPEN_NS + 5 * MINUTE_NS
    found = asked(curve_until(now_ns), now_ns, timeframe=DAILY, first_day=date(2025, 12, 1))
    names = [parse_ns(f"2026-01-0{day}T20:00:00-05:00") // SECOND_NS for day in (5, 6)]
    assert [point.time_s for point in found.points] == names
    assert [point.equity for point in found.points] == [100_390, 101_445]
    assert [point.profit for point in found.points] == [390, 1445]


def test_before_its_session_a_day_has_not_begun() -> None:
    now_ns = TUESDAY_OPEN_NS - MINUTE_NS
    found = asked(curve_until(now_ns), now_ns, timeframe=DAILY)
    assert len(found.points) == 1


def test_an_early_close_is_the_close() -> None:
    opened_ns = parse_ns("2026-11-27T12:58:00-05:00")  # the day after Thanksgiving
    curve = curve_until(opened_ns + 5 * MINUTE_NS, opened_ns)
    assert [(close.day, close.equity) for close in curve.closes] == [(date(2026, 11, 27), 100_002)]


async def test_every_account_is_valued_on_the_minute() -> None:
    clock = VirtualClock(OPEN_NS + 10 * SECOND_NS)

    class Brokerage:
        """Worth a dollar more with each second."""

        opened_ns, opening_cash = clock.now_ns(), Decimal(0)

        def summary(self) -> SimpleNamespace:
            return SimpleNamespace(equity=Decimal(clock.now_ns() - OPEN_NS) / SECOND_NS)

    account = cast(TradingAccount, SimpleNamespace(key="key", brokerage=Brokerage()))
    valuation = Valuation(TradingAccounts([account]), clock)
    valuation.begin()

    async def no_readers() -> None:
        return

    await clock.advance(OPEN_NS + 5 * MINUTE_NS, no_readers)
    curve = valuation.curve("key")
    assert [curve.at(OPEN_NS + n * MINUTE_NS) for n in range(1, 6)] == [60, 120, 180, 240, 300]


@settings(max_examples=30)
@given(
    st.lists(st.decimals(0, 10**7, places=4), min_size=1, max_size=40),
    st.sampled_from(["1Min", "5Min", "15Min", "1H", DAILY]),
    st.booleans(),
)
def test_profit_and_equity_never_differ_by_a_cent(
    values: list[Decimal], timeframe: str, resets: bool
) -> None:
    curve = EquityCurve(OPEN_NS, Decimal(100_000))
    for number, value in enumerate(values, start=1):
        curve.note(OPEN_NS + number * 30 * MINUTE_NS, value)
    now_ns = OPEN_NS + len(values) * 30 * MINUTE_NS
    found = asked(curve, now_ns, timeframe=timeframe, resets_daily=resets)
    bases = {found.base} | {close.equity for close in curve.closes}
    for point in found.points:
        assert point.equity == point.equity.quantize(Decimal("0.01"))
        assert point.equity - point.profit in bases
    if timeframe == DAILY or not resets:
        assert all(point.equity - point.profit == found.base for point in found.points)
