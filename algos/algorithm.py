"""What an author writes against: handlers to override, orders to ask for, positions to look at."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from algos.handlers import Handlers, KillSwitch
from algos.lifecycle import State
from algos.parameters import declared
from algos.portfolio import Order
from algos.session import Session
from algos.terms import changed_terms, exit_terms, order_terms
from bus.order_messages import Change, Side, TimeInForce
from bus.symbols import canonical_symbol

__all__ = ["Algorithm", "Amount", "KillSwitch", "session_of"]

Amount = Decimal | int | str


class Algorithm(Handlers):
    """Subclass this, override the handlers you need, and ask for orders in them.

    Handlers are plain synchronous methods: they look at what they are given and return quickly. Orders leave
    after the handler has returned; what becomes of them arrives in `on_order` and `on_fill`. An algorithm is
    subscribed to what it handles: one with `on_bar` alone gets bars and nothing else.
    """

    def __init__(self, *, symbols: Iterable[str] = (), **parameters: Any) -> None:
        known = declared(type(self))
        for name, value in parameters.items():
            if name not in known:
                raise TypeError(f"{type(self).__name__} has no parameter {name}; it has {', '.join(known)}")
            setattr(self, name, value)
        self.symbols = tuple(canonical_symbol(one) for one in tuple(symbols) or type(self).symbols)
        # Named so that an author who keeps a `_session` does not overwrite ours.
        self._own_session = Session(self, type(self).__name__.lower())
        self.prepare()

    def on_shutdown(self) -> None:
        """The process is to end. Override this to cancel or close first, and acknowledge when done."""
        self.acknowledge_shutdown()

    # What a handler may ask for.

    def buy(
        self,
        symbol: str,
        quantity: Amount | None = None,
        *,
        notional: Amount | None = None,
        limit_price: Amount | None = None,
        stop_price: Amount | None = None,
        take_profit: Amount | None = None,
        stop_loss: Amount | None = None,
        stop_loss_limit: Amount | None = None,
        trail_price: Amount | None = None,
        trail_percent: Amount | None = None,
        time_in_force: TimeInForce | None = None,
        extended_hours: bool = False,
    ) -> str:
        """Ask to buy a quantity, or for a notional amount of dollars; returns the client order id.

        A market order unless a limit or stop price is given; `day`, or `gtc` for crypto. `take_profit` (a
        limit price) and `stop_loss` (a stop price, with `stop_loss_limit` a stop-limit) are exits that stand
        once it is filled completely: when one is filled, the other is canceled. They are orders of yours with
        a role, `order.legs` of this one names them, and they last as long as `time_in_force` says. A
        trailing stop follows the best price seen, `trail_price` dollars or `trail_percent` behind it. Raises
        ValueError for a quantity or price that is not above zero.
        """
        terms = order_terms(
            symbol,
            "buy",
            quantity,
            notional=notional,
            limit_price=limit_price,
            stop_price=stop_price,
            take_profit=take_profit,
            stop_loss=stop_loss,
            stop_loss_limit=stop_loss_limit,
            trail_price=trail_price,
            trail_percent=trail_percent,
            time_in_force=time_in_force,
            extended_hours=extended_hours,
        )
        return self._own_session.order(terms)

    def sell(
        self,
        symbol: str,
        quantity: Amount | None = None,
        *,
        notional: Amount | None = None,
        limit_price: Amount | None = None,
        stop_price: Amount | None = None,
        take_profit: Amount | None = None,
        stop_loss: Amount | None = None,
        stop_loss_limit: Amount | None = None,
        trail_price: Amount | None = None,
        trail_percent: Amount | None = None,
        time_in_force: TimeInForce | None = None,
        extended_hours: bool = False,
    ) -> str:
        """Ask to sell, as `buy` does to buy."""
        terms = order_terms(
            symbol,
            "sell",
            quantity,
            notional=notional,
            limit_price=limit_price,
            stop_price=stop_price,
            take_profit=take_profit,
            stop_loss=stop_loss,
            stop_loss_limit=stop_loss_limit,
            trail_price=trail_price,
            trail_percent=trail_percent,
            time_in_force=time_in_force,
            extended_hours=extended_hours,
        )
        return self._own_session.order(terms)

    def exit(
        self,
        symbol: str,
        quantity: Amount | None = None,
        *,
        take_profit: Amount,
        stop_loss: Amount,
        stop_loss_limit: Amount | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> str:
        """Ask for two exits of what you hold, all of it by default; returns the client order id.

        One is a limit order at `take_profit`, of this id; the other a stop at `stop_loss`, with
        `stop_loss_limit` a stop-limit. When one is filled, the other is canceled. Raises ValueError where
        nothing is held, or less than `quantity`.
        """
        terms = exit_terms(
            symbol,
            self.position(symbol),
            quantity,
            take_profit=take_profit,
            stop_loss=stop_loss,
            stop_loss_limit=stop_loss_limit,
            time_in_force=time_in_force,
        )
        return self._own_session.order(terms)

    def cancel(self, client_order_id: str) -> None:
        """Ask to cancel an order; nothing happens where it is closed already.

        Of an order with exits, and of an exit, all that is open is canceled with it.

        Raises ValueError for what is no client order id: the OMS could not even refuse that.
        """
        if not isinstance(client_order_id, str) or not client_order_id.isprintable():
            raise ValueError(f"cannot cancel {client_order_id!r}: give an id that buy or sell returned")
        self._own_session.cancel(client_order_id)

    def replace(
        self,
        client_order_id: str,
        *,
        quantity: Amount | None = None,
        limit_price: Amount | None = None,
        stop_price: Amount | None = None,
        trail_price: Amount | None = None,
        trail_percent: Amount | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> str:
        """Ask to change a working order; returns the client order id of the order that takes its place.

        What is not given stays as the broker has it. Of an order with exits, and of an exit, prices alone can
        change. A quantity counts what this order has filled; the order
        that takes its place has what is left. Raises ValueError for an order that is unknown or closed.
        """
        order = self.order(client_order_id)
        if order is None or not order.is_open:
            status = "not known" if order is None else order.status
            raise ValueError(f"order {client_order_id} is {status} and cannot be replaced")
        given: dict[Change, object] = {
            "quantity": quantity,
            "limit_price": limit_price,
            "stop_price": stop_price,
            "trail_price": trail_price,
            "trail_percent": trail_percent,
            "time_in_force": time_in_force,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        terms = changed_terms(order.terms, changes)
        return self._own_session.order(terms, client_order_id, tuple(changes))

    def every(self, seconds: Amount, name: str) -> None:
        """Have `on_timer` called each `seconds`, at whole multiples since 1970; a missed one is skipped.

        Raises ValueError unless it is at least a millisecond.
        """
        period_ns = int(Decimal(str(seconds)) * 1_000_000_000)
        if period_ns < 1_000_000:
            raise ValueError(f"timer {name!r}: every {seconds} seconds; a millisecond is the shortest")
        self._own_session.timers[name] = period_ns

    def acknowledge_shutdown(self) -> None:
        """Say that you are done: nothing you ask for afterwards leaves."""
        self._own_session.acknowledged = True

    # What a handler may look at.

    @property
    def name(self) -> str:
        """The name under which this algorithm runs."""
        return self._own_session.name

    @property
    def now_ns(self) -> int:
        """The time of what is being handled, in nanoseconds since 1970-01-01 UTC."""
        return self._own_session.now_ns

    @property
    def state(self) -> State:
        """Bootstrap, follower, leader or aborted."""
        return self._own_session.state

    @property
    def is_leader(self) -> bool:
        """Whether orders leave."""
        return self._own_session.state is State.LEADER

    @property
    def is_bootstrap(self) -> bool:
        """Whether the past is being read."""
        return self._own_session.state is State.BOOTSTRAP

    @property
    def positions(self) -> dict[str, Decimal]:
        """What you hold, by symbol, negative when sold short; only symbols with a position."""
        return self._own_session.portfolio.quantities

    def position(self, symbol: str) -> Decimal:
        """What you hold of this symbol."""
        return self._own_session.portfolio.position(canonical_symbol(symbol)).quantity

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """Your orders that may still be filled, those not yet answered included; oldest first."""
        return self._own_session.portfolio.open_orders

    def has_open_order(self, symbol: str, side: Side | None = None) -> bool:
        """Whether an order in this symbol (on this side) is still open."""
        symbol = canonical_symbol(symbol)
        return any(
            order.symbol == symbol and side in (None, order.side)
            for order in self._own_session.portfolio.open_orders
        )

    def order(self, client_order_id: str) -> Order | None:
        """One of your orders, open or closed not long ago."""
        return self._own_session.portfolio.order(client_order_id)


def session_of(algorithm: Algorithm, name: str, lineage: str = "") -> Session:
    """An algorithm's session under this name and lineage, which its order ids are made of."""
    session = algorithm._own_session
    session.name, session.lineage = name, lineage
    return session
