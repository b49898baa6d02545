"""For any trades, bars of every timeframe hold exactly those trades, and agree with each other."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.exchange.aggregation import aggregate
from sim.exchange.bars import bar_of
from sim.exchange.history import History
from sim.exchange.market import Market
from sim.exchange.market_messages import Bar, CryptoTrade, Trade
from sim.exchange.timeframes import DAY, Timeframe, period, timeframe, zone_of
from sim.exchange.venue import Venue
from sim.times import MINUTE_NS, SECOND_NS, parse_ns

NAMES = [
    "1Min", "2T", "7Min", "15Min", "59Min", "1Hour", "4H", "5Hour", "23Hour", "1Day", "1Week", "1Month",
    "3Month", "12M",
]  # fmt: skip
STARTS = [  # among them the nights on which clocks change, a month's end and a year's
    parse_ns(text)
    for text in (
        "2026-01-05T14:29:00Z", "2026-03-08T04:00:00Z", "2026-11-01T03:30:00Z", "2026-02-28T22:00:00Z",
        "2025-12-31T20:00:00Z",
    )
]  # fmt: skip
gaps_s = st.sampled_from([0, 0, 1, 17, 59, 60, 61, 600, 3_599, 30_000, 90_000])


@st.composite
def histories(draw: st.DrawFn) -> list[Trade | CryptoTrade]:
    """Trades of one symbol in order of time, at the same moment, days apart, or anything between."""
    time_ns = draw(st.sampled_from(STARTS))
    is_crypto = draw(st.booleans())
    made: list[Trade | CryptoTrade] = []
    rows = draw(
        st.lists(st.tuples(gaps_s, st.integers(1, 50_000), st.integers(1, 500)), min_size=1, max_size=60)
    )
    for number, (gap_s, cents, size) in enumerate(rows):
        time_ns += gap_s * SECOND_NS + number
        if is_crypto:
            made.append(CryptoTrade("BTC/USD", number, cents / 100, size / 1000, "B", time_ns))
        else:
            made.append(Trade("AAPL", number, "V", cents / 100, size, ["@"], "C", time_ns))
    return made


def played(trades: Iterable[Trade | CryptoTrade]) -> History:
    venue = Venue(Market(), MINUTE_NS, None)
    for trade in trades:
        venue.play([trade], trade.time_ns)
    return History(venue)


def slow_start(time_ns: int, frame: Timeframe, zone: ZoneInfo) -> date | int:
    """Another reckoning of which period a moment belongs to: a number for clocks, a date for calendars."""
    if not frame.is_of_days:
        minutes = time_ns // MINUTE_NS
        of_day = minutes % 1440
        length = frame.count * (60 if frame.unit == "Hour" else 1)
        return (minutes - of_day + of_day // length * length) * MINUTE_NS
    day = datetime.fromtimestamp(time_ns / SECOND_NS, zone).date()
    if frame.unit == "Week":
        while day.weekday() != 0:
            day -= timedelta(1)
    elif frame.unit == "Month":
        while day.day != 1 or (day.month - 1) % frame.count != 0:
            day -= timedelta(1)
    return day


def bar_start(bar: Bar, frame: Timeframe, zone: ZoneInfo) -> date | int:
    if not frame.is_of_days:
        return int(bar.time_ns)
    local = datetime.fromtimestamp(bar.time_ns / SECOND_NS, zone)
    assert (local.hour, local.minute, local.second) == (0, 0, 0)
    return local.date()


def agree(bar: Bar, held: Sequence[Trade | CryptoTrade]) -> None:
    prices = [trade.price for trade in held]
    assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
    assert bar.trade_count == len(held)
    volume = sum(Fraction(str(trade.size)) for trade in held)
    assert abs(Fraction(bar.volume) - volume) < Fraction(1, 10**8)
    value = sum(Fraction(str(trade.price)) * Fraction(str(trade.size)) for trade in held)
    # Each bar's average is rounded to six places, and so are those it is made of.
    assert abs(Fraction(bar.vwap) - value / volume) <= Fraction(2, 10**6)


@given(histories(), st.sampled_from(NAMES))
@settings(max_examples=150, deadline=None)
def test_bars_hold_exactly_the_trades_of_their_periods(trades: list[Trade | CryptoTrade], name: str) -> None:
    frame, zone = timeframe(name), zone_of(trades[0].symbol)
    expected: dict[date | int, list[Trade | CryptoTrade]] = {}
    for trade in trades:
        expected.setdefault(slow_start(trade.time_ns, frame, zone), []).append(trade)
    bars = played(trades).bars(trades[0].symbol, frame)
    assert [bar_start(bar, frame, zone) for bar in bars] == list(expected)
    for bar, held in zip(bars, expected.values(), strict=True):
        agree(bar, held)
        start_ns, end_ns = period(held[0].time_ns, frame, zone)
        assert start_ns == bar.time_ns
        assert all(start_ns <= trade.time_ns < end_ns for trade in held)


@given(histories())
@settings(max_examples=50, deadline=None)
def test_days_kept_are_what_the_minutes_add_up_to(trades: list[Trade | CryptoTrade]) -> None:
    symbol, history = trades[0].symbol, played(trades)
    minutes = history.bars(symbol, timeframe("1Min"))
    made = aggregate(minutes, DAY, zone_of(symbol))
    for kept, day in zip(history.days(symbol), made, strict=True):
        assert (kept.time_ns, kept.open, kept.high, kept.low, kept.close, kept.trade_count) == (
            day.time_ns, day.open, day.high, day.low, day.close, day.trade_count,
        )  # fmt: skip
    for longer in ("1Week", "1Month", "12Month"):
        bars = history.bars(symbol, timeframe(longer))
        assert sum(bar.trade_count for bar in bars) == len(trades)
    assert history.latest_days(symbol)[0] == history.days(symbol)[-1]


@given(histories(), st.data())
@settings(max_examples=80, deadline=None)
def test_after_cancels_and_corrections_bars_hold_what_is_left(
    trades: list[Trade | CryptoTrade], data: st.DataObject
) -> None:
    symbol = trades[0].symbol
    venue = Venue(Market(), MINUTE_NS, None)
    for trade in trades:
        venue.play([trade], trade.time_ns)
    changed = data.draw(st.lists(st.sampled_from(trades), max_size=5, unique_by=lambda trade: trade.id))
    left = list(trades)
    for number, trade in enumerate(changed):
        if number % 2:
            assert venue.market.cancel_trade(symbol, trade.id) is trade
            left.remove(trade)
        else:
            right = type(trade)(*(getattr(trade, name) for name in trade.__struct_fields__))
            right.id, right.price = 1000 + number, 7.0
            assert venue.market.correct_trade(symbol, trade.id, right) is trade
            left[left.index(trade)] = right
        venue.recount_minute(symbol, trade.time_ns)
    # A corrected trade comes after the others of its very moment, of which there are none here.
    by_minute: dict[int, list[Trade | CryptoTrade]] = {}
    for trade in left:
        by_minute.setdefault(trade.time_ns - trade.time_ns % MINUTE_NS, []).append(trade)
    history = History(venue)
    bars = history.bars(symbol, timeframe("1Min"))
    assert [bar.time_ns for bar in bars] == list(by_minute)
    for bar, held in zip(bars, by_minute.values(), strict=True):
        assert bar == bar_of(held, bar.time_ns)
    assert sum(bar.trade_count for bar in history.days(symbol)) == len(left)
    newest = history.latest_trade(symbol)
    assert newest == (left[-1] if left else None)


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 90)), min_size=1, max_size=9), st.data())
@settings(max_examples=60, deadline=None)
def test_a_late_trade_finds_the_bar_as_corrections_left_it(
    rows: list[tuple[int, int]], data: st.DataObject
) -> None:
    venue, minute_ns = Venue(Market(), MINUTE_NS, None), STARTS[0]

    def traded(number: int, second: int, cents: int) -> Trade:
        return Trade("AAPL", number, "V", cents / 100, 1, ["@"], "C", minute_ns + second * SECOND_NS + number)

    left = [traded(number, second, cents) for number, (second, cents) in enumerate(sorted(rows))]
    for trade in left:
        venue.play([trade], trade.time_ns)
    venue.play([], minute_ns + 2 * MINUTE_NS)
    venue.close_bars(minute_ns + MINUTE_NS)
    for gone in data.draw(st.lists(st.sampled_from(left), max_size=4, unique_by=lambda trade: trade.id)):
        venue.market.cancel_trade("AAPL", gone.id)
        venue.recount_minute("AAPL", gone.time_ns)
        left.remove(gone)
    late = traded(100, 30, 700)
    venue.trade_late(late)
    left = sorted([*left, late], key=lambda trade: int(trade.time_ns))
    assert venue.market.bars.minutes("AAPL") == [bar_of(left, minute_ns)]
