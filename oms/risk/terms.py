"""What makes the terms of an order no order at all, by Alpaca's rules, before prices and positions. Pure."""

from decimal import Decimal
from operator import attrgetter

from bus.errors import InvalidInput
from bus.order_messages import OrderTerms, Reason, Side
from bus.symbols import checked_symbol
from oms.amounts import ZERO, is_amount, minus, plus, text, times

# Alpaca's bounds of a trail in percent (its documents on orders): a smaller one would be met by any trade.
_LEAST_TRAIL_PERCENT = Decimal("0.1")
_MOST_TRAIL_PERCENT = Decimal(100)

# How far an exit must lie from the price at which the position is opened (its documents on bracket orders).
CENT = Decimal("0.01")

_AMOUNTS = ("quantity", "notional", "limit_price", "stop_price")
_OF_EXITS = ("take_profit", "stop_loss", "stop_loss_limit")
_OF_TRAILS = ("trail_price", "trail_percent")

_amounts_of, _exits_and_trails_of = attrgetter(*_AMOUNTS), attrgetter(*_OF_EXITS, *_OF_TRAILS)
_NO_EXITS_OR_TRAILS = (None,) * len(_OF_EXITS + _OF_TRAILS)

_WITH_A_LIMIT = ("limit", "stop_limit")
_WITH_A_STOP = ("stop", "stop_limit")


def malformed(terms: OrderTerms) -> Reason | None:
    """What makes these terms no order at all, if anything: the field, and what it may be."""
    wrong = _first_amount_wrong(_AMOUNTS, _amounts_of(terms))
    if wrong is None and (terms.quantity is None) == (terms.notional is None):
        wrong = "exactly one of quantity and notional must be set"
    wrong = wrong or _price_wrong(terms)
    if wrong is None and terms.type == "trailing_stop":
        wrong = _trail_wrong(terms)
    if wrong is None:
        wrong = _stands_alone_wrong(terms) if terms.order_class == "simple" else _group_wrong(terms)
    if wrong is None:
        try:
            checked_symbol(terms.symbol)
        except InvalidInput as error:
            wrong = str(error)
    return None if wrong is None else Reason(code="bad_terms", message=wrong)


def closing_side(terms: OrderTerms) -> Side:
    """The side of the exits of a group with these terms."""
    if terms.order_class == "oco":
        return terms.side
    return "sell" if terms.side == "buy" else "buy"


def profit_price(terms: OrderTerms) -> Decimal | None:
    """The price of a group's exit with a profit: of an OCO that of the order itself."""
    return terms.limit_price if terms.order_class == "oco" else terms.take_profit


def misplaced(terms: OrderTerms, base: Decimal) -> str | None:
    """An exit that does not lie on its own side of a price, a cent away at least; None where both do."""
    profit, loss = profit_price(terms), terms.stop_loss
    sells = closing_side(terms) == "sell"
    if terms.order_class != "oco" and profit is not None:
        bound = base + CENT if sells else base - CENT
        if profit < bound if sells else profit > bound:
            return _bound("take_profit", profit, "at least" if sells else "at most", bound)
    if loss is not None:
        bound = base - CENT if sells else base + CENT
        if loss > bound if sells else loss < bound:
            return _bound("stop_loss", loss, "at most" if sells else "at least", bound)
    return None


def trigger_price(terms: OrderTerms, reference: Decimal) -> Decimal:
    """The price that sets the order off: its stop; of a trailing stop that trails from here, the furthest."""
    if terms.stop_price is not None:
        return terms.stop_price
    if terms.type != "trailing_stop":
        return reference
    trail = terms.trail_price
    if trail is None:
        trail = times(reference, terms.trail_percent or ZERO).scaleb(-2)
    return plus(reference, trail) if terms.side == "buy" else max(ZERO, minus(reference, trail))


def _first_amount_wrong(names: tuple[str, ...], values: tuple[Decimal | None, ...]) -> str | None:
    for name, value in zip(names, values, strict=True):
        if value is not None and not (is_amount(value) and value > ZERO):
            return f"{name} is {value}: it must be above zero, with at most nine places"
    return None


def _price_wrong(terms: OrderTerms) -> str | None:
    if (terms.limit_price is not None) != (terms.type in _WITH_A_LIMIT):
        return _needs_or_has_no(terms, "limit_price")
    if (terms.stop_price is not None) != (terms.type in _WITH_A_STOP):
        return _needs_or_has_no(terms, "stop_price")
    return None


def _needs_or_has_no(terms: OrderTerms, name: str) -> str:
    return f"a {terms.type} order {'needs' if getattr(terms, name) is None else 'has no'} {name}"


def _stands_alone_wrong(terms: OrderTerms) -> str | None:
    if _exits_and_trails_of(terms) == _NO_EXITS_OR_TRAILS:
        return None
    name = next(name for name in _OF_EXITS + _OF_TRAILS if getattr(terms, name) is not None)
    if name in _OF_EXITS:
        return f"{name} is set, and order_class is simple: it must be bracket, oto or oco"
    if terms.type != "trailing_stop":
        return f"{name} is set, and type is {terms.type}: it must be trailing_stop"
    return None


def _trail_wrong(terms: OrderTerms) -> str | None:
    percent = terms.trail_percent
    if (terms.trail_price is None) == (percent is None):
        return "a trailing_stop order needs exactly one of trail_price and trail_percent"
    wrong = _first_amount_wrong(_OF_TRAILS, (terms.trail_price, percent))
    if wrong is not None:
        return wrong
    if percent is not None and not _LEAST_TRAIL_PERCENT <= percent < _MOST_TRAIL_PERCENT:
        return f"trail_percent is {text(percent)}: it must be at least 0.1 and below 100"
    if terms.order_class != "simple":
        return f"type is trailing_stop and order_class {terms.order_class}: a trailing stop stands alone"
    return _long_lived_wrong("a trailing_stop order", terms)


def _group_wrong(terms: OrderTerms) -> str | None:
    kind = terms.order_class
    wrong = _first_amount_wrong(_OF_EXITS, (terms.take_profit, terms.stop_loss, terms.stop_loss_limit))
    if wrong is not None:
        return wrong
    if kind == "oco" and (terms.type != "limit" or terms.take_profit is not None):
        return "an oco order is itself the exit with a profit: type is limit, at limit_price, no take_profit"
    if terms.stop_loss_limit is not None and terms.stop_loss is None:
        return "stop_loss_limit is set without stop_loss, the price that triggers it"
    if kind == "oto" and (terms.take_profit is None) == (terms.stop_loss is None):
        return "an oto order needs exactly one of take_profit and stop_loss; a bracket has both"
    what = f"{'a' if kind == 'bracket' else 'an'} {kind} order"
    if kind != "oto" and terms.stop_loss is None:
        return f"{what} needs stop_loss"
    if kind == "bracket" and terms.take_profit is None:
        return "a bracket order needs take_profit; one with a stop_loss alone is an oto order"
    return _long_lived_wrong(what, terms) or _exits_wrong(terms)


def _long_lived_wrong(what: str, terms: OrderTerms) -> str | None:
    """Rules that trailing stops and groups share."""
    if "/" in terms.symbol:
        return f"{what} cannot be in crypto ({terms.symbol}): market, limit and stop_limit orders can"
    if terms.quantity is None or terms.quantity % 1:
        return f"{what} is for whole shares: quantity must be a whole number, without notional"
    if terms.time_in_force not in ("day", "gtc"):
        return f"time_in_force of {what} is {terms.time_in_force}: it must be day or gtc"
    if terms.extended_hours:
        return f"extended_hours is true: {what} works in the regular session alone"
    return None


def _exits_wrong(terms: OrderTerms) -> str | None:
    profit, loss = profit_price(terms), terms.stop_loss
    name = "limit_price" if terms.order_class == "oco" else "take_profit"
    sells = closing_side(terms) == "sell"
    if profit is not None and loss is not None and (profit <= loss if sells else profit >= loss):
        return (
            f"{name} is {text(profit)} and stop_loss {text(loss)}: of exits that {closing_side(terms)}, "
            f"{name} must be {'above' if sells else 'below'} stop_loss"
        )
    return None


def _bound(name: str, value: Decimal, word: str, bound: Decimal) -> str:
    return f"{name} is {text(value)}: it must be {word} {text(bound)}"
