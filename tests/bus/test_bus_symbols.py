"""A symbol has one spelling, whichever of Alpaca's two somebody used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import InvalidInput
from bus.symbols import canonical_symbol, checked_symbol, pair_symbol, spellings

BASES = st.from_regex(r"[A-Z0-9]{3,8}", fullmatch=True)
QUOTED_IN = st.sampled_from(["USD", "USDT", "USDC", "BTC"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BTCUSD", "BTC/USD"),
        ("BTC/USD", "BTC/USD"),
        ("ETHUSDT", "ETH/USDT"),
        ("ETHBTC", "ETH/BTC"),
        ("USDTUSD", "USDT/USD"),
        ("USDCUSDT", "USDC/USDT"),
        ("DOGEUSDC", "DOGE/USDC"),
        # Shares have five letters at most, and these may be some.
        ("ABUSD", "ABUSD"),
        ("USD", "USD"),
        ("AAPL", "AAPL"),
        ("BRK.B", "BRK.B"),
        ("ABCDE.USD", "ABCDE.USD"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_a_pair_without_its_slash_is_the_same_symbol(written: str, meant: str) -> None:
    assert canonical_symbol(written) == meant


def test_what_is_known_to_be_a_pair_may_be_short() -> None:
    assert pair_symbol("OPUSD") == "OP/USD"
    assert pair_symbol("USD") == "USD"


@given(base=BASES, quoted_in=QUOTED_IN)
def test_every_spelling_of_a_pair_has_the_same_canonical_one(base: str, quoted_in: str) -> None:
    symbol = f"{base}/{quoted_in}"
    assert canonical_symbol(symbol) == symbol
    assert set(spellings(symbol)) == {symbol, symbol.replace("/", "")}
    (meant,) = {canonical_symbol(written) for written in spellings(f"{base}{quoted_in}")}
    # Which of two coins is meant by ABCUSDBTC nobody can tell; it is one of them wherever it is written.
    assert meant.replace("/", "") == f"{base}{quoted_in}"


@given(symbol=st.text(max_size=12) | BASES)
def test_a_canonical_spelling_stays_as_it_is(symbol: str) -> None:
    assert canonical_symbol(canonical_symbol(symbol)) == canonical_symbol(symbol)


@pytest.mark.parametrize("symbol", ["A", "AAPL", "BRK.B", "BTC/USD", "1INCH/USDT"])
def test_symbols_that_are_allowed(symbol: str) -> None:
    assert checked_symbol(symbol) == symbol


def test_what_people_type_gets_its_one_spelling() -> None:
    assert checked_symbol("BTCUSD") == "BTC/USD"


@pytest.mark.parametrize(
    "symbol", ["", "aapl", "AAPL:trades", "/USD", "BTC/", "BTC/USD/X", "A B", "*", "AAPL\n", ".A"]
)
def test_symbols_that_are_not(symbol: str) -> None:
    with pytest.raises(InvalidInput, match="as Alpaca does"):
        checked_symbol(symbol)
