"""How symbols are written: a pair is BTC/USD or BTCUSD at Alpaca, and both are one symbol here. Pure."""

import re
from functools import lru_cache

from bus.errors import InvalidInput

# What pairs are quoted in at Alpaca, a longer name before one that it could be taken for.
_QUOTED_IN = ("USDT", "USDC", "USD", "BTC")

# Shares have up to five letters (ABUSD may be one), so only something longer is a pair by its looks.
_LONGEST_SHARE = 5

HOW_WRITTEN = "write it as Alpaca does, such as AAPL, BRK.B or BTC/USD"

# A share's class, or what else it is, follows a point: BRK.B, ABR.PRD. A pair has none.
_SYMBOL = re.compile(r"(?!.{17})[A-Z0-9]+(\.[A-Z0-9]+)*|[A-Z0-9]{1,16}/[A-Z0-9]{1,10}")

# A contract as the OCC writes it: what it is of, the day of expiry, call or put, a thousandth of the strike.
_OPTION = re.compile(r"[A-Z0-9]{1,6}[0-9]{6}[CP][0-9]{8}")


def canonical_symbol(symbol: str) -> str:
    """The one spelling of a symbol, `BTC/USD` for BTCUSD; whatever else it is stays as it is."""
    if len(symbol) <= _LONGEST_SHARE or not symbol.isalnum():
        return symbol
    return pair_symbol(symbol)


def pair_symbol(symbol: str) -> str:
    """The one spelling of what is known to be a pair; one that is quoted in nothing known stays as it is."""
    for quoted_in in _QUOTED_IN:
        base = symbol.removesuffix(quoted_in)
        if base not in ("", symbol) and "/" not in base:
            return f"{base}/{quoted_in}"
    return symbol


def spellings(symbol: str) -> tuple[str, ...]:
    """Every way in which this symbol may be written, the canonical one first."""
    symbol = canonical_symbol(symbol)
    return (symbol, symbol.replace("/", "")) if "/" in symbol else (symbol,)


def is_option(symbol: str) -> bool:
    """Whether it names a contract, such as AAPL261218C00200000: no share and no pair is that long."""
    return _OPTION.fullmatch(symbol) is not None


def checked_market_symbol(symbol: str) -> str:
    """As `checked_symbol`, for market data: those there are of options too, which are not traded here."""
    return symbol if is_option(symbol) else checked_symbol(symbol)


@lru_cache(maxsize=4096)
def checked_symbol(symbol: str) -> str:
    """The canonical spelling of what somebody typed (AAPL, BRK.B, BTC/USD, BTCUSD), or InvalidInput."""
    if not _SYMBOL.fullmatch(symbol):
        raise InvalidInput(f"symbol {symbol!r}: {HOW_WRITTEN}")
    return canonical_symbol(symbol)
