"""Whether the account allows an order: quantity to sell, buying power to open."""

from collections.abc import Callable
from decimal import Decimal

from sim import refusals
from sim.broker.account import Account
from sim.broker.matching import protective_price
from sim.broker.orders import Order, Ticket
from sim.exchange.touch import Touch
from sim.refusals import Refused

ZERO = Decimal(0)


def intent(ticket: Ticket, held_qty: Decimal) -> str:
    """Alpaca's word for what the order does to the position."""
    if ticket.side == "buy":
        return "buy_to_close" if held_qty < 0 else "buy_to_open"
    return "sell_to_close" if held_qty > 0 else "sell_to_open"


def admit(
    ticket: Ticket,
    account: Account,
    open_orders: list[Order],
    touch: Touch | None,
    mark: Callable[[str], Decimal | None],
) -> None:
    """Raise Refused if the account does not allow the order beside those that are open."""
    held = account.qty(ticket.asset.symbol)
    if ticket.side == "sell" and held > 0:
        _check_free_qty(ticket, held, open_orders, touch)
        return
    if ticket.side == "sell":
        _check_short(ticket, held)
    covering = -held if ticket.side == "buy" and held < 0 else ZERO
    _check_buying_power(ticket, covering, account, open_orders, touch, mark)


def _check_free_qty(ticket: Ticket, held: Decimal, open_orders: list[Order], touch: Touch | None) -> None:
    symbol = ticket.asset.symbol
    sells = [
        order for order in open_orders if order.ticket.asset.symbol == symbol and order.ticket.side == "sell"
    ]
    bound = min(held, sum((order.reserved_qty for order in sells), ZERO))
    requested = ticket.qty
    if requested is None:
        assert ticket.notional is not None
        bid = None if touch is None else touch.bid
        requested = ZERO if not bid else ticket.notional / bid
    if requested > held - bound:
        raise refusals.quantity(symbol, requested, held, bound, [order.id for order in sells])


def _check_short(ticket: Ticket, held: Decimal) -> None:
    symbol = ticket.asset.symbol
    if ticket.asset.is_crypto:
        coin = symbol.split("/")[0]
        requested = ticket.qty if ticket.qty is not None else ZERO
        raise Refused(
            403,
            40310000,
            f"insufficient balance for {coin} (requested: {requested:f}, available: {held:f})",
            available=f"{held:f}",
            symbol=symbol,
        )
    if ticket.qty is None or ticket.qty % 1 != 0:
        raise refusals.invalid("fractional orders cannot be sold short")


def _check_buying_power(
    ticket: Ticket,
    covering: Decimal,
    account: Account,
    open_orders: list[Order],
    touch: Touch | None,
    mark: Callable[[str], Decimal | None],
) -> None:
    price = protective_price(ticket, touch)
    if ticket.notional is not None:
        cost = ticket.notional - covering * price
    else:
        assert ticket.qty is not None
        cost = (ticket.qty - covering) * price
    summary = account.summary(mark, open_orders)
    available = summary.free_margin if ticket.asset.is_crypto else summary.buying_power
    if cost > available:
        raise refusals.buying_power(available, cost)
