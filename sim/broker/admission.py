"""Decides whether the account allows an order: quantity to close, buying power to open, no wash trade."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

from sim import refusals
from sim.amounts import SMALLEST_QTY, plain
from sim.broker import wash_trades
from sim.broker.account import Account, margin_rate
from sim.broker.matching import protective_price
from sim.broker.order_classes import stop_loss_price, take_profit_price
from sim.broker.orders import Order, Ticket
from sim.broker.summary import Summary
from sim.exchange.touch import Touch

ZERO = Decimal(0)
CENT = Decimal("0.01")
LEAST_COIN_COST = Decimal(10)
MOST_GROSS = 6  # times the equity; above it an account may only close (User Protection, 600 %)

Mark = Callable[[str], Decimal | None]


def intent(ticket: Ticket, held_qty: Decimal) -> str:
    """Return Alpaca's position intent of the order, such as sell_to_close."""
    if ticket.side == "buy":
        return "buy_to_close" if held_qty < 0 else "buy_to_open"
    return "sell_to_close" if held_qty > 0 else "sell_to_open"


def admit(
    ticket: Ticket,
    account: Account,
    open_orders: list[Order],
    touch: Touch | None,
    mark: Mark,
    is_awake: bool = False,
) -> None:
    """Raise Refused if the account does not allow the order beside those that are open.

    With `is_awake` the ticket replaces a stop that was triggered: its stop price is not checked again.
    """
    settings = account.configurations
    if settings.suspend_trade:
        raise refusals.forbidden("new orders are rejected by user request")
    if ticket.is_fractional and not ticket.asset.is_crypto:
        if not settings.fractional_trading:
            raise refusals.forbidden("fractional trading is disabled for this account")
        if account.fractions_at_market_only and ticket.type != "market":
            raise refusals.invalid("fractional orders must be market orders")
    symbol = ticket.asset.symbol
    held = account.qty(symbol)
    closes = held < 0 if ticket.side == "buy" else held > 0
    beside = [order for order in open_orders if order.ticket.asset.symbol == symbol]
    _check_intent(ticket, held)
    check_against_market(ticket, mark(symbol), is_awake)
    _check_class(ticket, closes)
    wash_trades.check(ticket, beside)
    if (
        ticket.side == "sell"
        and ticket.asset.borrow_status == "hard_to_borrow"
        and ticket.time_in_force != "day"
    ):
        raise refusals.invalid(f'only day orders are allowed for hard-to-borrow asset "{symbol}"')
    if closes or (ticket.side == "sell" and ticket.asset.is_crypto):
        _check_free_qty(ticket, abs(held), beside, touch)
        return
    summary = account.summary(mark, open_orders)
    if ticket.side == "sell":
        _check_short(ticket, account, summary)
    if held == 0:
        _check_opposite(ticket, beside)
    _check_buying_power(ticket, summary, touch)


def check_against_market(ticket: Ticket, price: Decimal | None, is_awake: bool = False) -> None:
    """Raise Refused if a stop would trigger at once, or a leg lies on the wrong side of its base price."""
    if price is None:
        return
    stop = ticket.stop_price
    if stop is not None and not is_awake:
        fields = {"stop_price": plain(stop), "market_price": plain(price)}
        if ticket.side == "sell" and stop >= price:
            raise refusals.invalid("stop price must be less than current price", **fields)
        if ticket.side == "buy" and stop <= price:
            raise refusals.invalid("stop price must be greater than current price", **fields)
    if ticket.legs:
        check_distance(ticket, price)


def check_distance(ticket: Ticket, price: Decimal) -> None:
    """Raise Refused if a leg lies on the wrong side of its base price.

    The base price is the entry's limit or stop price, else the last price; for an OCO it is the last price.
    """
    if ticket.order_class == "oco":
        _check_base(None, stop_loss_price(ticket), price, ticket.side == "sell")
        return
    base = next((asked for asked in (ticket.limit_price, ticket.stop_price) if asked is not None), price)
    _check_base(take_profit_price(ticket), stop_loss_price(ticket), base, ticket.side == "buy")


def _check_base(profit: Decimal | None, loss: Decimal | None, base: Decimal, leaves_long: bool) -> None:
    above, below = (profit, loss) if leaves_long else (loss, profit)
    profit_name, loss_name = "take_profit.limit_price", "stop_loss.stop_price"
    above_name, below_name = (profit_name, loss_name) if leaves_long else (loss_name, profit_name)
    if below is not None and below > base - CENT:
        raise refusals.invalid(f"{below_name} must be <= base_price - 0.01", base_price=plain(base))
    if above is not None and above < base + CENT:
        raise refusals.invalid(f"{above_name} must be >= base_price + 0.01", base_price=plain(base))


def _check_intent(ticket: Ticket, held: Decimal) -> None:
    inferred, said = intent(ticket, held), ticket.position_intent
    if said is not None and said != inferred:
        raise refusals.invalid(f"position intent mismatch, inferred: {inferred}, specified: {said}")


def _check_class(ticket: Ticket, closes: bool) -> None:
    if ticket.order_class == "bracket" and closes:
        raise refusals.invalid("bracket orders must be entry orders")
    if ticket.order_class == "oco" and not closes:
        raise refusals.invalid("oco orders must be exit orders")


def _check_opposite(ticket: Ticket, beside: list[Order]) -> None:
    """Refuse to open in both directions: without a position, any order of the other side opens one."""
    if any(order.ticket.side != ticket.side and order.is_due for order in beside):
        if ticket.side == "sell":
            raise refusals.forbidden("cannot open a short sell while a long buy order is open")
        raise refusals.forbidden("cannot open a long buy while a short sell order is open")


def _check_free_qty(ticket: Ticket, held: Decimal, beside: list[Order], touch: Touch | None) -> None:
    """Refuse to close more than is held and not reserved by other orders; no order may cross zero."""
    symbol = ticket.asset.symbol
    price = None if touch is None else touch.bid if ticket.side == "sell" else touch.ask
    closing = [(order, _closed_qty(order, price)) for order in beside if order.ticket.side == ticket.side]
    bound = min(held, sum((qty for _, qty in closing), ZERO))
    requested = ticket.qty if ticket.qty is not None else _by_value(ticket.notional, price)
    if requested <= held - bound:
        return
    if ticket.asset.is_crypto:
        coin, _, quoted_in = symbol.partition("/")
        raise refusals.balance(coin, requested, held - bound, held, quoted_in)
    raise refusals.quantity(symbol, requested, held, bound, [order.id for order, qty in closing if qty > 0])


def _closed_qty(order: Order, price: Decimal | None) -> Decimal:
    if order.ticket.notional is None:
        return order.reserved_qty
    return _by_value(order.ticket.notional - order.filled_value, price)


def _by_value(value: Decimal | None, price: Decimal | None) -> Decimal:
    if value is None or not price:
        return ZERO
    return (value / price).quantize(SMALLEST_QTY, ROUND_HALF_UP)


def _check_short(ticket: Ticket, account: Account, summary: Summary) -> None:
    if ticket.is_fractional:
        raise refusals.invalid("fractional orders cannot be sold short")
    if account.configurations.no_shorting or not summary.may_short:
        raise refusals.forbidden("account is not allowed to short")
    if not ticket.asset.is_shortable:
        raise refusals.invalid(f'asset "{ticket.asset.symbol}" cannot be sold short')


def _check_buying_power(ticket: Ticket, summary: Summary, touch: Touch | None) -> None:
    """Refuse what cannot be paid for: buys at their limit, at the market at the ask; shorts 3 % above it.

    Alpaca's order documents value a market order at the far side of the quote while the market is open; older
    ones add a collar of 2.5 to 4 %, which buy stops still have.
    """
    if ticket.notional is not None:
        cost = ticket.notional
    else:
        assert ticket.qty is not None
        cost = ticket.qty * protective_price(ticket, touch)
    if ticket.asset.is_crypto:
        _check_balance(ticket, cost, summary)
        return
    if summary.gross_value > MOST_GROSS * summary.equity:
        # Alpaca looks at single positions and lifts the block by hand; here it ends with the excess.
        raise refusals.forbidden("account is restricted to liquidation only")
    if cost * margin_rate(ticket.asset, summary.multiplier) > summary.free_margin:
        available = summary.free_margin / margin_rate(ticket.asset, summary.multiplier)
        raise refusals.buying_power(available, cost)


def _check_balance(ticket: Ticket, cost: Decimal, summary: Summary) -> None:
    """Refuse a crypto pair that is quoted in anything but dollars: an account holds no other currency."""
    quoted_in = ticket.asset.symbol.partition("/")[2]
    available, balance = (summary.overnight_margin, summary.cash) if quoted_in == "USD" else (ZERO, ZERO)
    if cost > available:
        raise refusals.balance(quoted_in, cost, available, balance, quoted_in)
    if 0 < cost < LEAST_COIN_COST:
        raise refusals.forbidden(f"cost basis must be >= minimal amount of order {LEAST_COIN_COST}")
