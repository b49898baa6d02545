"""What one of a symbol is worth at its price: of an option a contract, which is for a hundred shares. Pure.

Nobody here orders options; they are held, and traded, by hand.
"""

import re
from decimal import Decimal

from oms.amounts import times

# As the Options Clearing Corporation writes it: AAPL240119C00100000.
_CONTRACT = re.compile(r"[A-Z]{1,6}[0-9]?[0-9]{6}[CP][0-9]{8}")
_SHORTEST = 16
_SHARES = Decimal(100)


def worth_of_one(symbol: str, price: Decimal) -> Decimal:
    """The price itself for whatever is no option: an option's is that of one share of the contract."""
    if len(symbol) < _SHORTEST or not _CONTRACT.fullmatch(symbol):
        return price
    return times(price, _SHARES)
