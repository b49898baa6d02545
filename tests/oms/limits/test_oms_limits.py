"""Limits files: what is read, and the sentences for what cannot be."""

from decimal import Decimal
from typing import get_args

import pytest
from risk_day import LIMITS

from bus.errors import InvalidInput
from bus.feed_kinds import CRYPTO
from bus.settings import AlpacaSettings
from oms.limits.limit_kinds import FEEDS, REQUIRED
from oms.limits.limit_names import named_symbols, unmatched
from oms.limits.limit_scopes import AgeLimit
from oms.limits.limits import from_dict, parse
from oms.settings import DEFAULT_LIMITS


def test_the_shipped_limits_can_be_read_and_let_paper_trade() -> None:
    limits = parse(DEFAULT_LIMITS.read_text(), "default")
    found = limits.effective("ma-cross", "AAPL")
    assert (found.account.order_quantity, found.account.order_value) == (1000, 50_000)
    assert (found.own.position_quantity, found.own.open_orders) == (2000, 50)
    assert (found.own.orders_per_second, found.collar) == (20, Decimal("0.05"))
    assert found.price_age("") == AgeLimit(5 * 10**9, "[account] price_age_seconds")
    assert found.price_age("sip") == found.price_age("crypto") == found.price_age("")
    assert found.price_age("iex") == AgeLimit(90 * 10**9, "[feed.iex] price_age_seconds")
    assert not found.restricted


def test_the_tightest_collar_and_age_hold() -> None:
    limits = parse(
        LIMITS + '[algorithm.alpha]\nprice_collar_percent = 2.5\n[symbol."BTC/USD"]\nprice_age_seconds = 0.5',
        "limits",
    )
    assert limits.effective("alpha", "AAPL").collar == Decimal("0.025")
    assert limits.effective("beta", "BTC/USD").price_age("").most_ns == 500_000_000
    assert limits.effective("beta", "AAPL").collar == Decimal("0.05")


@pytest.mark.parametrize("written", ["BTCUSD", "BTC/USD"])
@pytest.mark.parametrize("asked", ["BTCUSD", "BTC/USD"])
def test_a_pair_is_one_symbol_in_both_spellings(written: str, asked: str) -> None:
    limits = parse(f'{LIMITS}restricted = ["{written}"]\n[symbol."{written}"]\norder_quantity = 2', "limits")
    found = limits.effective("alpha", asked)
    assert (found.account.order_quantity, found.restricted) == (2, True)
    assert not limits.effective("alpha", "ETH/USD").restricted
    assert limits.as_dict()["symbol"] == {"BTC/USD": {"order_quantity": "2"}}
    again = from_dict(limits.as_dict(), "journal", 1)
    assert again.effective("alpha", asked).account.order_quantity == 2


def test_two_sections_of_one_pair_are_held_to_the_tightest() -> None:
    sections = "[symbol.BTCUSD]\norder_quantity = {}\norder_value = 7\n"
    sections += '[symbol."BTC/USD"]\norder_quantity = {}\nposition_quantity = 9'
    for one, other in ((2, 3), (3, 2)):
        found = parse(LIMITS + sections.format(one, other), "limits").effective("alpha", "BTC/USD").account
        assert (found.order_quantity, found.order_value, found.position_quantity) == (2, 7, 9)


def test_a_short_pair_is_restricted_by_the_spelling_that_might_be_a_shares() -> None:
    limits = parse(LIMITS + 'restricted = ["OPUSD"]', "limits")
    assert limits.effective("alpha", "OP/USD").restricted
    assert limits.effective("alpha", "OPUSD").restricted


def test_names_in_the_limits_that_bind_nothing_are_told_with_what_is_known() -> None:
    limits = parse(
        LIMITS + 'restricted = ["GME", "GMEE"]\n[algorithm.ma-crss]\norder_value = 1\nrestricted = ["XX"]\n'
        "[algorithm.reversion]\norder_value = 1\n"
        "[symbol.APPL]\norder_value = 1\n[symbol.AAPL]\norder_value = 1",
        "limits",
    )
    assert named_symbols(limits) == ["AAPL", "APPL", "GME", "GMEE", "XX"]
    assert unmatched(limits, {"ma-cross", "reversion"}, {"APPL", "GMEE", "MSFT"}) == (
        "[algorithm.ma-crss]: no algorithm of this name has registered; known are ma-cross, reversion; "
        "did you mean ma-cross?",
        '[symbol."APPL"]: the broker knows no such symbol',
        "restricted GMEE: the broker knows no such symbol",
    )
    assert len(unmatched(limits, (), ())) == 2
    assert unmatched(limits, {"ma-crss", "reversion"}, ()) == ()


IEX = "[feed.iex]\nprice_age_seconds = 60\n"


@pytest.mark.parametrize(
    ("more", "seconds", "setting"),
    [
        ("", 5, "[account]"),
        (IEX, 60, "[feed.iex]"),
        ("[feed.iex]\nprice_age_seconds = 1", 1, "[feed.iex]"),
        ("[feed.iex]", 5, "[account]"),
        ("[feed.sip]\nprice_age_seconds = 60", 5, "[account]"),
        (
            "[feed.iex]\nprice_age_seconds = 60\n[each_algorithm]\nprice_age_seconds = 30",
            30,
            "[each_algorithm]",
        ),
        (
            "[feed.iex]\nprice_age_seconds = 60\n[algorithm.alpha]\nprice_age_seconds = 20",
            20,
            "[algorithm.alpha]",
        ),
        ("[feed.iex]\nprice_age_seconds = 60\n[symbol.AAPL]\nprice_age_seconds = 10", 10, '[symbol."AAPL"]'),
        ("[feed.iex]\nprice_age_seconds = 0.5\n[symbol.AAPL]\nprice_age_seconds = 10", 0.5, "[feed.iex]"),
        ("[algorithm.beta]\nprice_age_seconds = 1", 5, "[account]"),
    ],
)
def test_a_feeds_age_stands_in_place_of_the_accounts_and_the_tightest_names_its_section(
    more: str, seconds: float, setting: str
) -> None:
    found = parse(f"{LIMITS}{more}", "limits").effective("alpha", "AAPL").price_age("iex")
    assert found == AgeLimit(int(seconds * 10**9), f"{setting} price_age_seconds")


def test_every_feed_that_ingest_can_be_set_to_may_have_an_age() -> None:
    feeds = get_args(AlpacaSettings.model_fields["feed"].annotation)
    assert set(FEEDS) == {*feeds, "rest", CRYPTO}


def test_limits_of_feeds_come_back_from_the_journal() -> None:
    limits = parse(f"{LIMITS}[feed.iex]\nprice_age_seconds = 60", "limits")
    again = from_dict(limits.as_dict(), "journal", 3)
    assert again.as_dict() == limits.as_dict()
    assert again.effective("alpha", "AAPL").price_age("iex").most_ns == 60 * 10**9
    before = {section: scope for section, scope in limits.as_dict().items() if section != "feed"}
    assert from_dict(before, "journal", 2).effective("alpha", "AAPL").price_age("iex").most_ns == 5 * 10**9


def test_limits_are_shown_in_the_shape_of_the_file() -> None:
    shown = parse(LIMITS + '[each_algorithm]\nrestricted = ["GME"]', "limits").as_dict()
    assert shown["each_algorithm"] == {"restricted": ["GME"]}
    assert isinstance(shown["account"], dict)
    assert set(shown["account"]) == {*REQUIRED, "repeated_seconds"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[account", "TOML"),
        ("[acount]\norder_quantity = 1", "acount"),
        (LIMITS + "\norder_quantities = 1", "order_quantities"),
        (LIMITS.replace("order_value = 50_000", "order_value = -1"), "order_value"),
        (LIMITS.replace("order_value = 50_000", 'order_value = "much"'), "order_value"),
        (LIMITS.replace("order_value = 50_000", "order_value = true"), "order_value"),
        (LIMITS.replace("order_value = 50_000", "order_value = nan"), "order_value"),
        (LIMITS.replace("open_orders = 200", "open_orders = 2.5"), "open_orders"),
        (LIMITS.replace("price_collar_percent = 5", "price_collar_percent = 100"), "price_collar_percent"),
        (LIMITS.replace("open_orders = 200", ""), "open_orders"),
        (LIMITS + 'restricted = "GME"', "restricted"),
        (LIMITS + 'restricted = ["not a symbol"]', "not a symbol"),
        (LIMITS + "[symbol.AAPL]\nopen_orders = 1", "open_orders"),
        (LIMITS + "[algorithm.Alpha]\norder_value = 1", "Alpha"),
        (LIMITS + "[algorithm]\nalpha = 3", "alpha"),
        (LIMITS + "[feed.nasdaq]\nprice_age_seconds = 1", "delayed_sip"),
        (LIMITS + "[feed.iex]\norder_value = 1", "price_age_seconds"),
        (LIMITS + "[feed.iex]\nprice_age_seconds = -1", "feed.iex"),
        (LIMITS + "[feed]\nprice_age_seconds = 1", "price_age_seconds"),
        ("", "order_quantity"),
    ],
)
def test_a_mistake_is_named_with_its_file(content: str, named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(content, "limits.toml")
    assert "limits.toml" in str(caught.value)
    assert named in str(caught.value)
