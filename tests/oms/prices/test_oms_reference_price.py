"""What stands for a symbol's price: by the market's time, by conditions, corrections, halts and width."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.prices.reference_price import (
    BAR_AFTER_NS,
    BAR_NS,
    MOST_TRADES,
    OTHER_SESSION_NS,
    TRADE_FIRST_NS,
    Known,
    MarketHalt,
    Price,
    SymbolMarket,
)

NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000

# When something is said of a trade.
SAID_NS = 1000

Entry = tuple[str, dict[bytes, bytes]]


def entry(channel: str, received_ns: int | None, **message: Any) -> Entry:
    """An entry as ingest writes it, received when it happened unless something else is said."""
    received_ns = message["t"] if received_ns is None else received_ns
    data = json.dumps({"S": "AAPL", **message}).encode()
    return channel, {b"d": data, b"r": str(received_ns).encode(), b"feed": b"iex"}


def trade(
    price: float,
    at_ns: int = 0,
    *,
    id_: int = 1,
    c: tuple[str, ...] = ("@",),
    z: str = "C",
    received_ns: int | None = None,
) -> Entry:
    """A trade; times are counted from NOW_NS."""
    received_ns = None if received_ns is None else NOW_NS + received_ns
    return entry("trades", received_ns, i=id_, x="V", p=price, s=100, c=list(c), z=z, t=NOW_NS + at_ns)


def quote(bid: float, ask: float, at_ns: int = 0, *, c: tuple[str, ...] = ("R",), late_ns: int = 0) -> Entry:
    """A quote, received so long after it; times are counted from NOW_NS."""
    return entry(
        "quotes",
        NOW_NS + at_ns + late_ns,
        **{"bp": bid, "bs": 1, "ap": ask, "as": 1, "c": list(c), "z": "C", "t": NOW_NS + at_ns},
    )


def bar(close: float, ended_ns: int = 0) -> Entry:
    """A bar, received at its end."""
    at_ns = NOW_NS + ended_ns
    return entry("bars", at_ns, o=1, h=3, l=1, c=close, v=10, t=at_ns - BAR_NS)


def cancel(id_: int, at_ns: int = SAID_NS, price: float = 1) -> Entry:
    """A trade never was."""
    return entry("cancelErrors", None, i=id_, x="V", p=price, s=100, a="C", z="C", t=NOW_NS + at_ns)


def correction(
    original: int,
    id_: int,
    price: float,
    at_ns: int = SAID_NS,
    *,
    cc: tuple[str, ...] = ("@",),
    op: float = 1,
) -> Entry:
    """A trade was another one."""
    return entry(
        "corrections",
        None,
        x="V",
        oi=original,
        op=op,
        os=1,
        oc=["@"],
        ci=id_,
        cp=price,
        cs=1,
        cc=list(cc),
        z="C",
        t=NOW_NS + at_ns,
    )


def status(code: str, at_ns: int = 0, reason: str = "LUDP") -> Entry:
    """A trading status."""
    words = {"sm": f"status {code}", "rc": reason, "rm": "Volatility Trading Pause" if reason else ""}
    return entry("statuses", None, sc=code, z="C", t=NOW_NS + at_ns, **words)


def gap(channel: str, since_ns: int) -> Entry:
    """The feed broke."""
    data = json.dumps({"feed": "iex", "since_ns": NOW_NS + since_ns, "reason": "cut"}).encode()
    return channel, {b"d": data, b"r": str(NOW_NS).encode(), b"type": b"GapOpened"}


def known(*entries: Entry) -> Known | None:
    """What is known after these."""
    market = SymbolMarket()
    for channel, fields in entries:
        market.take(channel, fields)
    return market.known()


def price(*entries: Entry) -> Decimal | None:
    """The price after these; None where there is none."""
    found = known(*entries)
    return found.price if isinstance(found, Price) else None


def test_nothing_heard_is_no_price() -> None:
    assert known() is None


def test_a_price_has_the_markets_time_ours_and_its_feed() -> None:
    late = trade(100, -3 * SECOND_NS, received_ns=0)
    assert known(late) == Price(Decimal(100), NOW_NS - 3 * SECOND_NS, NOW_NS, "iex")


def test_nobody_knows_a_price_before_it_was_received() -> None:
    ahead = trade(100, 60 * SECOND_NS, received_ns=0)
    assert known(ahead) == Price(Decimal(100), NOW_NS, NOW_NS, "iex")
    assert price(ahead, trade(101, 1)) == 101


# By the market's time.


def test_a_late_print_is_not_the_price() -> None:
    assert price(trade(100, 0), trade(90, -1, received_ns=SECOND_NS)) == 100
    assert price(trade(100, 0), trade(90, 0, id_=2)) == 90, "of equal times the one read later"


def test_a_late_quote_is_not_the_price() -> None:
    assert price(quote(100, 102), quote(90, 92, -1, late_ns=SECOND_NS)) == 101


@given(st.permutations(range(8)))
def test_trades_of_one_stream_make_the_same_price_in_any_order(order: list[int]) -> None:
    assert price(*(trade(100 + one, one, id_=one) for one in order)) == 107


def test_a_trade_comes_before_a_quote_that_is_little_newer() -> None:
    newer = quote(98, 100, TRADE_FIRST_NS)
    assert price(trade(100, 0), newer) == 100
    assert price(trade(100, -1), newer) == 99
    assert price(trade(100, 0), quote(98, 100, -1)) == 100


def test_where_only_bars_are_played_their_close_is_the_price() -> None:
    assert known(bar(101.5)) == Price(Decimal("101.5"), NOW_NS, NOW_NS, "iex")


def test_a_bar_gives_way_to_what_happened_within_a_minute_of_its_end() -> None:
    assert price(trade(100, -BAR_AFTER_NS + 1), bar(101)) == 100
    assert price(quote(98, 100, -BAR_AFTER_NS + 1), bar(101)) == 99
    assert price(trade(100, -BAR_AFTER_NS), bar(101)) == 101


def test_the_price_of_a_short_bar_is_not_of_after_it_was_received() -> None:
    found = known(entry("bars", NOW_NS, o=1, h=3, l=1, c=2.5, v=10, t=NOW_NS - SECOND_NS))
    assert found == Price(Decimal("2.5"), NOW_NS, NOW_NS, "iex")


# By conditions.


@pytest.mark.parametrize(
    ("tape", "code", "what"),
    [
        ("C", "@", "regular"),
        ("A", " ", "regular"),
        ("A", "E", "automatic execution"),
        ("C", "F", "intermarket sweep"),
        ("A", "K", "rule 127"),
        ("A", "O", "opening trade"),
        ("C", "T", "extended hours"),
        ("C", "X", "cross"),
        ("B", "5", "reopening trade"),
        ("B", "6", "closing trade"),
        ("C", "A", "acquisition"),
        ("C", "B", "bunched"),
        ("C", "D", "distribution"),
        ("C", "S", "split trade"),
        ("C", "Y", "yellow flag"),
        ("C", "1", "stopped stock"),
    ],
)
def test_a_trade_that_sets_the_last_price_of_its_plan_is_the_price(tape: str, code: str, what: str) -> None:
    assert price(trade(100, 0), trade(90, 1, id_=2, c=(code,), z=tape)) == 90, what


@pytest.mark.parametrize(
    ("tape", "code", "what"),
    [
        ("A", "B", "average price"),
        ("C", "W", "average price"),
        ("C", "C", "cash"),
        ("A", "N", "next day"),
        ("C", "R", "seller"),
        ("C", "G", "bunched sold"),
        ("A", "H", "price variation"),
        ("C", "I", "odd lot"),
        ("A", "L", "sold last, reported late"),
        ("C", "M", "official close"),
        ("C", "Q", "official open"),
        ("A", "P", "prior reference price"),
        ("C", "U", "extended hours, out of sequence"),
        ("C", "V", "contingent"),
        ("A", "Z", "out of sequence"),
        ("C", "2", "stopped stock, sold last"),
        ("C", "3", "stopped stock, out of sequence"),
        ("A", "4", "derivatively priced"),
        ("C", "7", "qualified contingent"),
        ("A", "9", "corrected close"),
        ("A", "A", "in no list of this tape"),
        ("C", "?", "in no list"),
        ("", "B", "an average price on some tape"),
    ],
)
def test_a_trade_that_sets_no_price_does_not_count(tape: str, code: str, what: str) -> None:
    assert price(trade(100, 0), trade(90, 1, id_=2, c=(code,), z=tape)) == 100, what
    assert price(trade(100, 0), trade(90, 1, id_=2, c=("@", code), z=tape)) == 100, what


def test_a_trade_without_conditions_counts() -> None:
    assert price(entry("trades", None, p=36000.5, s=0.01, i=7, tks="B", t=NOW_NS)) == Decimal("36000.5")


@pytest.mark.parametrize("code", "CDIJKLMNPQSVZ")
def test_a_quote_that_is_no_market_does_not_count(code: str) -> None:
    assert price(quote(100, 102), quote(90, 92, 1, c=(code,))) == 101


# Quotes.


@pytest.mark.parametrize(
    ("bid", "ask", "counts"),
    [
        (100, 100, True),
        (100.01, 100, False),
        (0, 100, False),
        (100, 0, False),
        (0, 0, False),
        (97.5, 102.5, True),
        (97.49, 102.51, False),
        (0.01, 199_999.99, False),
    ],
)
def test_a_quote_counts_that_is_two_sided_not_crossed_and_not_wide(
    bid: float, ask: float, counts: bool
) -> None:
    middle = (Decimal(str(bid)) + Decimal(str(ask))) / 2
    assert price(quote(50, 50.2, -1), quote(bid, ask)) == (middle if counts else Decimal("50.1"))


# On demand.


def snapshot(trade_at_ns: int | None, quote_at_ns: int | None, *, c: str = "@", ask: float = 96) -> Entry:
    """What was answered now: a trade at 90 and a quote around 95, of these times."""
    parts: dict[str, Any] = {}
    if trade_at_ns is not None:
        parts["trade"] = json.loads(trade(90, trade_at_ns, id_=9, c=(c,))[1][b"d"])
    if quote_at_ns is not None:
        parts["quote"] = json.loads(quote(94, ask, quote_at_ns)[1][b"d"])
    data = json.dumps({"S": "AAPL", **parts}).encode()
    received_ns = NOW_NS + 10 * SECOND_NS
    return "snapshots", {b"d": data, b"r": str(received_ns).encode(), b"feed": b"iex"}


def test_a_price_on_demand_counts_by_its_market_time() -> None:
    assert known(snapshot(-5, None)) == Price(Decimal(90), NOW_NS - 5, NOW_NS + 10 * SECOND_NS, "iex")
    assert price(trade(100, 0), snapshot(-1, None)) == 100
    assert price(trade(100, 0), snapshot(1, None)) == 90
    assert price(trade(100, 0), snapshot(-1, TRADE_FIRST_NS + 1)) == 95
    assert known(snapshot(None, None)) is None


def test_what_holds_of_prints_and_quotes_holds_of_those_that_were_asked_for() -> None:
    assert known(snapshot(0, None, c="Z")) is None
    assert known(snapshot(0, None), cancel(9)) is None
    assert known(snapshot(None, 0, ask=200)) is None
    assert isinstance(known(snapshot(2, 2), status("H", 1)), MarketHalt)


# Corrections and cancels.


def test_a_canceled_print_is_not_the_price() -> None:
    assert price(trade(100, 0, id_=1), trade(90, 1, id_=2), cancel(2)) == 100
    assert known(trade(90, 1, id_=2), cancel(2)) is None


def test_a_cancel_of_another_exchange_is_of_another_trade() -> None:
    other = entry("cancelErrors", None, i=1, x="D", p=100, s=1, a="C", z="C", t=NOW_NS)
    assert price(trade(100, 0, id_=1), other) == 100


def test_a_corrected_print_has_its_corrected_price_and_its_own_time() -> None:
    found = known(trade(90, 0, id_=1), correction(1, 2, 100, SECOND_NS))
    assert found == Price(Decimal(100), NOW_NS, NOW_NS, "iex")


def test_a_print_that_was_corrected_to_one_that_sets_no_price_does_not_count() -> None:
    assert price(trade(100, 0, id_=1), trade(90, 1, id_=2), correction(2, 3, 91, cc=("Z",))) == 100


def test_a_correction_may_keep_the_id_and_be_corrected_again() -> None:
    assert price(trade(90, 0, id_=1), correction(1, 1, 100)) == 100
    assert price(trade(90, 0, id_=1), correction(1, 2, 100), correction(2, 3, 101)) == 101
    assert price(trade(90, 0, id_=1), correction(1, 2, 100), correction(2, 1, 101)) == 101


def test_what_was_said_of_another_days_trade_of_that_id_does_not_count() -> None:
    assert price(trade(100, 10, id_=1), cancel(1, 9)) == 100
    assert price(trade(100, 10, id_=1), correction(1, 2, 90, 9)) == 100
    assert known(trade(100, 10, id_=1), cancel(1, 10)) is None


def test_what_was_corrected_can_be_canceled() -> None:
    assert known(trade(90, 0, id_=1), correction(1, 2, 100), cancel(2)) is None


STORY = [
    trade(100, 0, id_=1),
    trade(101, 1, id_=2),
    correction(2, 3, 102, 2),
    trade(103, 3, id_=4),
    cancel(4, 4),
    trade(104, 5, id_=5),
    correction(5, 6, 105, 6),
    cancel(6, 7),
]


@given(
    st.permutations(range(len(STORY))),
    st.lists(st.integers(min_value=0, max_value=len(STORY) - 1), max_size=4),
)
def test_corrections_and_cancels_count_in_whatever_order_they_are_read_and_how_often(
    order: list[int], again: list[int]
) -> None:
    """Each has a stream of its own, and the ends of streams are read again."""
    assert price(*(STORY[one] for one in (*order, *again))) == 102


def test_when_the_last_trades_are_canceled_an_earlier_one_is_left() -> None:
    trades = [trade(100 + one, one, id_=one) for one in range(MOST_TRADES * 2)]
    cancels = [cancel(one) for one in range(MOST_TRADES + 1, MOST_TRADES * 2)]
    assert price(*trades, *cancels) == 100 + MOST_TRADES


def test_a_bar_that_closed_at_a_canceled_price_does_not_count() -> None:
    assert known(trade(90, -SECOND_NS, id_=1), cancel(1, price=90), bar(90)) is None
    assert known(bar(90), correction(1, 2, 90.5, op=90)) is None
    assert price(bar(90), cancel(1, -2 * BAR_NS, price=90)) == 90, "that was of before the bar"
    assert price(bar(90), cancel(1, price=91)) == 90


# Halts.


@pytest.mark.parametrize("code", "124HP")
def test_a_halted_symbol_has_no_price(code: str) -> None:
    found = known(trade(100, 0), quote(99, 101, 5), status(code, 1))
    assert found == MarketHalt(NOW_NS + 1, "LUDP", "Volatility Trading Pause")


@pytest.mark.parametrize("code", "3T")
def test_when_trading_resumes_what_came_since_is_the_price(code: str) -> None:
    halt, resumed = status("H", 0), status(code, 10)
    assert known(trade(100, -1), quote(99, 101, 5), bar(100), halt, resumed) is None
    assert price(trade(100, -1), halt, resumed, trade(90, 10, id_=2)) == 90


def test_a_halt_without_a_reason_tells_its_status() -> None:
    assert known(status("2", 0, reason="")) == MarketHalt(NOW_NS, "2", "status 2")


@pytest.mark.parametrize("code", ["Q", "5", "6", "A", "D", "E", "F", "?"])
def test_other_statuses_change_nothing(code: str) -> None:
    assert price(trade(100, 0), status(code, 1)) == 100
    assert isinstance(known(trade(100, 2), status("H", 0), status(code, 1)), MarketHalt)


def test_a_status_that_comes_late_changes_nothing() -> None:
    assert price(status("T", 0), status("H", -1), trade(100, 1)) == 100


def test_trades_during_a_halt_do_not_end_it() -> None:
    found = known(status("H", 0), trade(100, OTHER_SESSION_NS - 1), gap("trades", 1))
    assert isinstance(found, MarketHalt)


def test_a_trade_after_a_gap_shows_that_a_resumption_was_missed() -> None:
    halt, broke = status("H", 0), gap("statuses", 10)
    assert isinstance(known(halt, broke), MarketHalt)
    assert isinstance(known(halt, gap("corrections", 10), trade(100, 11)), MarketHalt)
    assert isinstance(known(halt, broke, trade(100, 10)), MarketHalt)
    assert price(halt, broke, trade(100, 11)) == 100
    assert isinstance(known(broke, halt, trade(100, 11)), MarketHalt), "the gap was before the halt"
    assert isinstance(known(halt, broke, trade(100, 11, c=("Z",))), MarketHalt)


def test_a_halt_of_another_session_is_over_once_there_is_a_trade() -> None:
    assert price(status("H", 0), trade(100, OTHER_SESSION_NS)) == 100


# What cannot be read.


@pytest.mark.parametrize(
    ("channel", "fields"),
    [
        ("trades", {}),
        ("trades", {b"d": b"{}", b"r": b"1"}),
        ("trades", {b"d": b'{"S":"A","p":1,"s":1,"t":1}', b"r": b"soon"}),
        ("trades", {b"d": b'{"S":"A","p":1,"s":1,"t":1}'}),
        ("trades", {b"d": b'{"S":"A","p":"NaN","s":1,"t":1}', b"r": b"1"}),
        ("trades", {b"d": b'{"S":"A","p":"Infinity","s":1,"t":1}', b"r": b"1"}),
        ("trades", {b"d": b'{"S":"A","p":0,"s":1,"t":1}', b"r": b"1"}),
        ("trades", {b"d": b'{"S":"A","p":-1,"s":1,"t":1}', b"r": b"1"}),
        ("quotes", {b"d": b'{"S":"A","bp":"NaN","bs":1,"ap":1,"as":1,"t":1}', b"r": b"1"}),
        ("quotes", {b"d": b'{"S":"A","bp":1,"bs":1,"ap":"Infinity","as":1,"t":1}', b"r": b"1"}),
        ("bars", {b"d": b'{"S":"A","o":1,"h":1,"l":1,"c":0,"v":1,"t":1}', b"r": b"1"}),
        ("statuses", {b"d": b'{"S":"A"}', b"r": b"1"}),
        ("cancelErrors", {b"d": b'{"S":"A","x":"V","i":9,"p":"sNaN","t":2000000000000000000}', b"r": b"1"}),
        ("lulds", {b"d": b"{}", b"r": b"1"}),
    ],
)
def test_what_cannot_be_read_or_is_no_price_counts_for_nothing(
    channel: str, fields: dict[bytes, bytes]
) -> None:
    assert price(trade(100, 0), bar(99), (channel, fields)) == 100


@given(
    channel=st.sampled_from(["trades", "quotes", "bars", "statuses", "corrections", "cancelErrors", "news"]),
    fields=st.dictionaries(st.sampled_from([b"d", b"r", b"type", b"v", b"feed"]), st.binary(max_size=40)),
)
def test_no_bytes_end_it(channel: str, fields: dict[bytes, bytes]) -> None:
    assert price(trade(100, 0), (channel, fields)) == 100


@pytest.mark.parametrize(
    ("at_ns", "received_ns", "age_ns"), [(-5, -3, 5), (-3, -3, 3), (2, 3, 3), (-4, 3, 4), (0, 0, 0)]
)
def test_the_age_of_a_price_is_the_greater_of_the_two(at_ns: int, received_ns: int, age_ns: int) -> None:
    assert Price(Decimal(1), NOW_NS + at_ns, NOW_NS + received_ns).age_ns(NOW_NS) == age_ns


def from_history(entry: Entry) -> Entry:
    """The same entry as history told it an hour later."""
    channel, fields = entry
    return channel, fields | {b"r": str(int(fields[b"r"]) + 3600 * SECOND_NS).encode(), b"b": b"1"}


@pytest.mark.parametrize("told", [trade(2.0), quote(1.99, 2.01), bar(2.0)], ids=["trade", "quote", "bar"])
def test_what_came_from_history_is_as_old_as_it_was_when_it_happened(told: Entry) -> None:
    """Received only now, it is no price of now; a bar's price is that of its end."""
    live, late = SymbolMarket(), SymbolMarket()
    live.take(*told)
    late.take(*from_history(told))
    assert isinstance(live.known(), Price)
    assert late.known() == live.known()
