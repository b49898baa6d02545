"""What Alpaca takes of an execution at once, by class of asset. Pure."""

from decimal import Decimal

from bus.order_messages import Side
from bus.symbols import canonical_symbol
from oms.amounts import ZERO, quotient_nearest, times

# The part that is taken, as one of so many: 0.25 % of a pair. Shares cost nothing at once; the fees of
# regulators come as activities of the account, at the end of the day.
_ONE_OF = {"crypto": Decimal(400)}


def asset_class(symbol: str) -> str:
    """Alpaca's word for what a symbol is: pairs such as BTC/USD are crypto."""
    return "crypto" if "/" in canonical_symbol(symbol) else "us_equity"


def fee_of(symbol: str, side: Side, quantity: Decimal, price: Decimal) -> Decimal:
    """The fee of an execution, to nine places, in what it brought: coins of a purchase, money of a sale.

    0.5 BTC bought leaves 0.49875 (Alpaca, Crypto Fees: it is charged on the credited side).
    """
    one_of = _ONE_OF.get(asset_class(symbol))
    if one_of is None:
        return ZERO
    return quotient_nearest(quantity if side == "buy" else times(quantity, price), one_of)
