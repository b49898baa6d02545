"""A broker under test: the test sets its market, clock and hours, and sees every update."""

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sim.broker.brokerage import Brokerage
from sim.broker.orders import Order, Ticket
from sim.broker.updates import Update
from sim.exchange.assets import Asset, made_up
from sim.exchange.hours import MarketHours
from sim.exchange.touch import Touch
from sim.times import parse_ns

OPENING_CASH = Decimal(100_000)
NOON_NS = parse_ns("2026-01-05T12:00:00-05:00")  # of a Monday


class BrokerHarness:
    """The market that a broker sees, and the updates it returns; `never_closes` as in --hours always."""

    def __init__(
        self,
        never_closes: bool = True,
        now_ns: int = NOON_NS,
        draw: Callable[[], float] = lambda: 0.5,
        partial_chance: float = 0.0,
    ) -> None:
        self.now_ns = now_ns
        self.touches: dict[str, Touch] = {}
        self.last: dict[str, Decimal] = {}
        self.halted: set[str] = set()
        self.updates: list[Update] = []
        self._assets: dict[str, Asset] = {}
        self._names = itertools.count()
        self.broker = Brokerage(
            now_ns, OPENING_CASH, self, MarketHours(never_closes), self.name, draw, partial_chance
        )

    @classmethod
    def at(cls, moment: str, never_closes: bool = False) -> "BrokerHarness":
        """A harness at a moment of New York's winter, with a quote and a last price of AAPL."""
        made = cls(never_closes, parse_ns(f"{moment}-05:00"))
        made.quote("99.99", "100.00")
        made.trade("100.00")
        return made

    def touch(self, symbol: str) -> Touch | None:
        return self.touches.get(symbol)

    def traded_at(self, symbol: str) -> Decimal | None:
        return self.last.get(symbol)

    def is_halted(self, symbol: str) -> bool:
        return symbol in self.halted

    def name(self) -> str:
        """Return a name that is new."""
        return f"name-{next(self._names)}"

    def ticket(self, side: str = "buy", type: str = "market", tif: str = "day", **fields: Any) -> Ticket:
        """A ticket for AAPL unless `symbol` says otherwise; numbers may be text, `qty` is 10."""
        symbol = fields.pop("symbol", "AAPL")
        asset = self._assets.setdefault(symbol, made_up(symbol))
        if "notional" not in fields:
            fields.setdefault("qty", 10)
        made = {name: value if name in _AS_IT_IS else Decimal(value) for name, value in fields.items()}
        return Ticket(self.name(), asset, side, type, tif, **made)

    def bracket(
        self, take_profit: str, stop_loss: str, stop_limit: str | None = None, **fields: Any
    ) -> Ticket:
        """An entry with both exits, of the class bracket."""
        entry = {"side": "buy", **fields}
        exits = {"side": "sell" if entry["side"] == "buy" else "buy", "tif": fields.get("tif", "day")}
        exits |= {"qty": fields.get("qty", 10), "order_class": "bracket"}
        profit = self.ticket(type="limit", limit_price=take_profit, **exits)
        return self.ticket(
            **entry, order_class="bracket", legs=(profit, self.stop(stop_loss, stop_limit, **exits))
        )

    def stop(self, stop_loss: str, stop_limit: str | None = None, **fields: Any) -> Ticket:
        """A stop, or with a limit a stop-limit."""
        if stop_limit is None:
            return self.ticket(type="stop", stop_price=stop_loss, **fields)
        return self.ticket(type="stop_limit", stop_price=stop_loss, limit_price=stop_limit, **fields)

    def submit(self, ticket: Ticket) -> Order:
        """Submit and, a moment later, accept."""
        order = self.broker.submit(ticket, self.now_ns)
        self.updates += self.broker.accept(order.id, self.now_ns)
        return order

    def replace(self, order: Order, ticket: Ticket) -> Order:
        """Replace and, a moment later, accept."""
        new, updates = self.broker.replace(order.id, ticket, self.now_ns)
        self.updates += updates
        self.updates += self.broker.accept(new.id, self.now_ns)
        return new

    def cancel(self, order: Order) -> None:
        """Cancel it."""
        self.updates += self.broker.cancel(order.id, self.now_ns)

    def quote(self, bid: str, ask: str, symbol: str = "AAPL") -> None:
        """The market shows a quote."""
        self.touches[symbol] = Touch(Decimal(bid), Decimal(ask))
        self.updates += self.broker.quoted(symbol, self.now_ns)

    def trade(self, price: str, symbol: str = "AAPL") -> None:
        """The market trades."""
        self.last[symbol] = Decimal(price)
        self.updates += self.broker.traded(symbol, Decimal(price), self.now_ns)

    def move(self, price: str) -> None:
        """AAPL is bid for at a price, offered a cent above, and trades there."""
        self.quote(price, str(Decimal(price) + Decimal("0.01")))
        self.trade(price)

    def pass_time(self, until: str) -> None:
        """Set the time; whatever is due on the way happens at its moment."""
        until_ns = parse_ns(until)
        while (moment_ns := self.broker.next_moment_ns(self.now_ns)) is not None and moment_ns <= until_ns:
            self.now_ns = moment_ns
            self.updates += self.broker.let_time_pass(moment_ns)
        self.now_ns = until_ns

    def told(self, *orders: Order) -> list[str]:
        """Return the events so far: of these orders, or of all."""
        ids = {order.id for order in orders}
        return [update.event for update in self.updates if not ids or update.order["id"] in ids]

    def position(self, symbol: str = "AAPL") -> Decimal:
        """Return the signed quantity held."""
        return self.broker.account.qty(symbol)


_AS_IT_IS = ("order_class", "legs", "extended_hours")
