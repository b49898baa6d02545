"""The order that is checked, with what several checks need looked up and worked out once. Pure."""

from decimal import Decimal

import msgspec

from bus.order_messages import OrderRequest, OrderTerms, ReplaceRequest
from oms.amounts import ZERO, ceiling, minus, plus, quotient_up, times
from oms.book.book import Book
from oms.book.ledger import ACCOUNT
from oms.book.orders import Order
from oms.book.reservations import OpenSums
from oms.limits.limit_scopes import Effective, Scope
from oms.prices.reference_price import Known, MarketHalt, Price
from oms.risk.preconditions import Context
from oms.risk.terms import trigger_price


class Holder(msgspec.Struct):
    """One of the two whose position and orders count: the algorithm, or the account, whose name is "".

    `scope` is what they are held against, `open` what the open orders come to. Both positions are in the
    order's symbol, counted upwards on the way that it goes: `held` is the one of now, below zero where the
    order closes it, `reached` the one that it and all open orders on its side may lead to. `value` is the
    latter's, at the reference price. Mutable: `exposure`, what all positions and orders come to with this
    one, gross and net, once somebody asked.
    """

    name: str
    scope: Scope
    open: OpenSums
    held: Decimal
    reached: Decimal
    value: Decimal
    exposure: tuple[Decimal, Decimal] | None = None


class Subject(msgspec.Struct, frozen=True):
    """What the checks look at.

    `price` is the reference price where there is one, `market_halt` why there is none while trading in the
    symbol is halted. `quantity` is what is reserved: for a notional order the most shares that it may become.
    `value` is what one order's limit is held against, `reserved` the value at the `reserve_price`, which is
    None where there is no reference price. `closable` is what the account has that an order on this side
    closes, `freed` the open quantity of the order being replaced. `before` is the price of some minutes ago,
    None also where no price band is set.
    """

    request: OrderRequest | ReplaceRequest
    terms: OrderTerms
    effective: Effective
    holders: tuple[Holder, Holder]
    price: Price | None
    market_halt: MarketHalt | None
    quantity: Decimal
    value: Decimal
    closable: Decimal
    replaced: Order | None
    freed: Decimal
    reserve_price: Decimal | None
    reserved: Decimal
    before: Price | None

    @property
    def account(self) -> Holder:
        """The account."""
        return self.holders[1]

    @property
    def reduces(self) -> bool:
        """Whether, with all that is open on its side, it only reduces the algorithm's and the account's."""
        algorithm, account = self.holders
        return self.quantity > ZERO and algorithm.reached <= ZERO and account.reached <= ZERO


def subject_of(
    request: OrderRequest | ReplaceRequest,
    terms: OrderTerms,
    replaced: Order | None,
    book: Book,
    effective: Effective,
    known: Known | None,
    context: Context,
) -> Subject:
    """What the checks are given; `replaced` is the order in whose place this one stands."""
    price = known if isinstance(known, Price) else None
    reference = ZERO if price is None else price.price
    reserve = None if price is None else reserve_price(terms, reference, effective.collar)
    quantity = terms.quantity if terms.quantity is not None else ZERO
    if terms.notional is not None:
        value = terms.notional
        quantity = quotient_up(terms.notional, reserve) if reserve else ZERO
        reserved = times(quantity, reserve or ZERO)
    elif terms.limit_price is not None:
        value = times(quantity, reserve if reserve is not None else terms.limit_price)
        reserved = ZERO if reserve is None else value
    else:
        value = times(quantity, trigger_price(terms, reference))
        reserved = times(quantity, reserve or ZERO)
    freed = ZERO if replaced is None else replaced.leaves()
    more = quantity if replaced is None else minus(quantity, freed)
    band = effective.band
    algorithm = _holder(context.algorithm, effective.own, book, terms, more, reference)
    account = _holder(ACCOUNT, effective.account, book, terms, more, reference)
    return Subject(
        request=request,
        terms=terms,
        effective=effective,
        holders=(algorithm, account),
        price=price,
        market_halt=known if isinstance(known, MarketHalt) else None,
        quantity=quantity,
        value=value,
        closable=-account.held if account.held < ZERO else ZERO,
        replaced=replaced,
        freed=freed,
        reserve_price=reserve,
        reserved=reserved,
        before=None if price is None or band is None else price.before(price.at_ns - band[1]),
    )


def _holder(
    name: str, scope: Scope, book: Book, terms: OrderTerms, more: Decimal, reference: Decimal
) -> Holder:
    held, sums = book.ledger.position(terms.symbol, name), book.open_sums(name)
    if terms.side == "sell":
        held = -held
    reached = plus(plus(held, sums.pending(terms.symbol)[terms.side]), more)
    return Holder(name, scope, sums, held, reached, times(reached, reference))


def reserve_price(terms: OrderTerms, reference: Decimal, collar: Decimal) -> Decimal:
    """The price at which an order is reserved, nine places.

    A notional order: the lowest price within the collar, since that gives the most shares. Otherwise the
    limit where there is one (a sale cannot be worth less than the market), a purchase at the market or at a
    stop with the collar on top, a sale at the market or stop price itself. A trailing stop: the furthest at
    which it may be set off as it stands.
    """
    if terms.notional is None and terms.limit_price is not None:
        return _limit_or_better(terms, terms.limit_price, reference)
    anchor = trigger_price(terms, reference)
    if terms.notional is not None:
        return ceiling(times(min(anchor, terms.limit_price or anchor), 1 - collar))
    return ceiling(times(anchor, 1 + collar)) if terms.side == "buy" else anchor


def _limit_or_better(terms: OrderTerms, limit: Decimal, reference: Decimal) -> Decimal:
    """The highest price at which a limit order may trade: a sale may get the market's."""
    return limit if terms.side == "buy" else max(limit, reference)
