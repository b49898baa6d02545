"""What the broker takes of a fill at once."""

from decimal import ROUND_HALF_EVEN, Decimal

from sim.amounts import SMALLEST_QTY
from sim.broker.ledger import EXACT
from sim.exchange.assets import Asset

# Of crypto, Alpaca takes 0.25 % of what is received: coins of a purchase, dollars of a sale.
_CRYPTO = Decimal("0.0025")


def fee_of(asset: Asset, side: str, qty: Decimal, price: Decimal) -> Decimal:
    """Return the fee of one fill, in coins of a purchase and in dollars of a sale, to nine decimals.

    Of shares nothing is taken. How Alpaca rounds the ninth decimal is not known; here a half goes to even.
    """
    if not asset.is_crypto:
        return Decimal(0)
    received = qty if side == "buy" else EXACT.multiply(qty, price)
    return EXACT.multiply(received, _CRYPTO).quantize(SMALLEST_QTY, ROUND_HALF_EVEN, EXACT)
