"""Which of the last trade, quote and bar stands for a symbol's price."""

from decimal import Decimal

from oms.reference_price import BAR_AFTER_NS, TRADE_FRESH_NS, Price, choose, read_price

NOW_NS = 1_700_000_000_000_000_000
TRADE = Price(Decimal("100.00"), NOW_NS, NOW_NS)
BAR = Price(Decimal("101.00"), NOW_NS, NOW_NS)


def heard(price: str, ago_ns: int) -> Price:
    return Price(Decimal(price), NOW_NS - ago_ns, NOW_NS - ago_ns)


def test_where_only_bars_are_played_their_close_is_the_price() -> None:
    assert choose(None, None, BAR, NOW_NS) == BAR


def test_nothing_heard_is_no_price() -> None:
    assert choose(None, None, None, NOW_NS) is None


def test_a_fresh_trade_comes_first() -> None:
    quote = heard("99", 0)
    assert choose(heard("100", TRADE_FRESH_NS), quote, BAR, NOW_NS) == heard("100", TRADE_FRESH_NS)
    assert choose(heard("100", TRADE_FRESH_NS + 1), quote, BAR, NOW_NS) == quote


def test_a_bar_gives_way_to_what_was_heard_within_its_minute() -> None:
    assert choose(heard("100", BAR_AFTER_NS - 1), None, BAR, NOW_NS) == heard("100", BAR_AFTER_NS - 1)
    assert choose(None, heard("99", BAR_AFTER_NS - 1), BAR, NOW_NS) == heard("99", BAR_AFTER_NS - 1)
    assert choose(heard("100", BAR_AFTER_NS), None, BAR, NOW_NS) == BAR


def test_the_price_of_a_bar_is_its_close() -> None:
    data = b'{"T":"b","S":"AAPL","o":1,"h":3,"l":1,"c":2.5,"v":10,"t":1700000000000000000}'
    assert read_price("bars", {b"d": data, b"r": b"7"}) == Price(Decimal("2.5"), 1_700_000_000_000_000_000, 7)
