"""Options beside their shares: symbols, values, quotes and trades."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.exchange.market_messages import CryptoTrade, OptionQuote, OptionTrade, Quote, Trade
from sim.exchange.option_contracts import Contract, listed, monthly_expiry, parse, value
from sim.exchange.option_feed import OptionFeed
from sim.times import SECOND_NS

NOW_NS = int(datetime(2026, 1, 5, 15, tzinfo=UTC).timestamp()) * SECOND_NS
TODAY = date(2026, 1, 5)
QUOTE = Quote("AAPL", "V", 199.99, 1, "Q", 200.01, 1, ["R"], "C", NOW_NS)
TRADE = Trade("AAPL", 1, "V", 200.0, 1, ["@"], "C", NOW_NS)


def test_a_symbol_says_what_the_contract_is() -> None:
    contract = parse("AAPL260116C00200500")
    assert contract == Contract("AAPL", date(2026, 1, 16), True, 200_500)
    assert contract is not None
    assert contract.symbol == "AAPL260116C00200500"


@pytest.mark.parametrize("symbol", ["AAPL", "AAPL261316C00200500", "AAPL260116X00200500", "", "*", "BTC/USD"])
def test_other_symbols_are_no_contracts(symbol: str) -> None:
    assert parse(symbol) is None


@pytest.mark.parametrize(
    ("day", "expiry"),
    [(date(2026, 1, 16), date(2026, 1, 16)), (date(2026, 1, 17), date(2026, 2, 20)),
     (date(2025, 12, 31), date(2026, 1, 16))],
)  # fmt: skip
def test_contracts_expire_on_the_third_friday(day: date, expiry: date) -> None:
    assert monthly_expiry(day) == expiry


@given(st.floats(0.5, 5000), st.integers(0, 365 * 5))
def test_what_is_listed_lies_around_the_price_and_is_worth_at_least_exercising(
    price: float, days: int
) -> None:
    day = date.fromordinal(TODAY.toordinal() + days)
    contracts = listed("AAPL", price, day)
    assert len({contract.symbol for contract in contracts}) == 10
    for contract in contracts:
        assert contract.strike_mills > 0
        strike = contract.strike_mills / 1000
        inner = price - strike if contract.is_call else strike - price
        assert value(contract, price, day) >= max(0.0, inner)
        assert parse(contract.symbol) == contract


def test_a_shares_messages_move_the_options_that_somebody_wants_in_turns() -> None:
    feed = OptionFeed()
    call, put = "AAPL260116C00200000", "AAPL260116P00200000"
    feed.want({call, put, "AAPL250117C00200000", "MSFT260116C00400000"})
    made = feed.follow([QUOTE, QUOTE, TRADE, CryptoTrade("BTC/USD", 1, 1.0, 1, "B", NOW_NS)])
    assert [type(message) for message in made] == [OptionQuote, OptionQuote, OptionTrade]
    assert [message.symbol for message in made] == [call, put, call]
    quote = made[0]
    assert isinstance(quote, OptionQuote)
    assert 0 < quote.bid_price < quote.ask_price


def test_nothing_follows_from_quotes_and_trades_that_make_no_sense() -> None:
    feed = OptionFeed()
    feed.want({"*"})
    one_sided = Quote("AAPL", "V", 0.0, 0, "Q", 200.01, 1, ["R"], "C", NOW_NS)
    empty = Quote("AAPL", "V", 0.0, 0, "Q", 0.0, 0, ["R"], "C", NOW_NS)
    free = Trade("AAPL", 1, "V", 0.0, 1, ["@"], "C", NOW_NS)
    assert feed.follow([one_sided, empty, free]) == []
    assert len(feed.follow([QUOTE, TRADE])) == 2


def test_an_expired_option_is_silent_and_nothing_is_made_for_nobody() -> None:
    feed = OptionFeed()
    assert feed.follow([QUOTE]) == []
    feed.want({"AAPL250117C00200000"})
    assert feed.follow([QUOTE]) == []
    assert feed.shares(["AAPL260116C00200000", "KO260116C00070000", "nonsense"]) == ["AAPL", "KO"]
