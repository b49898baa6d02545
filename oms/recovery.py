"""Catching up with the broker, at start and after each break of its stream, before any order is taken."""

from functools import partial

import structlog

from bus.clock import Clock
from bus.codec import Message
from bus.errors import Unreadable
from bus.order_messages import OrderFilled, OrderUncertain
from bus.streams import EXTERNAL
from oms.amounts import minus
from oms.broker import Broker, BrokerOrder
from oms.external_orders import adopted, caught_up, found
from oms.orders import TERMINAL, assumed_execution_id
from oms.records import Records
from oms.sender import Sender
from oms.watch import Watch

# Clocks differ, and an order may be stamped before we wrote it down.
_MARGIN_NS = 60 * 1_000_000_000

log = structlog.get_logger()


class Recovery:
    """Compares the broker's orders with the book and books what was missed; sends nothing."""

    def __init__(self, broker: Broker, sender: Sender, records: Records, watch: Watch, clock: Clock) -> None:
        self._broker = broker
        self._sender = sender
        self._records = records
        self._watch = watch
        self._clock = clock
        self._began_ns = clock.now_ns()

    def __repr__(self) -> str:
        return f"<recovery of {self._records.book}>"

    async def take_over(self) -> bool:
        """With an empty journal: take over what the account holds. False where it holds nothing at all.

        Positions and fills of before belong to `external`, open orders to whom their ids name. Raises what
        the broker raises.
        """
        self._began_ns = now_ns = self._clock.now_ns()
        # Orders that ended just now are within the reach of a later catching up: they are booked here, so
        # that their fills are not counted again beside the positions they led to.
        orders = await self._known_to_broker(now_ns - 2 * _MARGIN_NS)
        while True:
            positions = await self._sender.call(self._broker.positions)
            again = await self._known_to_broker(now_ns - 2 * _MARGIN_NS)
            if again == orders:
                break  # Nothing was filled in between, so the two answers belong together.
            orders = again
        for order in orders.values():
            self._compare(order, now_ns)
        still_open = any(order.status not in TERMINAL for order in orders.values())
        for position in positions:
            missing = minus(position.quantity, self._records.book.position(position.symbol))
            if missing:
                name = f"opening-{position.symbol}"
                self._records.record(
                    [
                        OrderFilled(
                            algorithm=EXTERNAL,
                            client_order_id=name,
                            broker_order_id=name,
                            execution_id=assumed_execution_id(name, abs(missing)),
                            symbol=position.symbol,
                            side="buy" if missing > 0 else "sell",
                            quantity=abs(missing),
                            price=position.average_price,
                            filled_quantity=abs(missing),
                            status="filled",
                            at_ns=now_ns,
                        )
                    ]
                )
        await self._records.journal.flush()
        return bool(still_open or positions)

    async def catch_up(self, *, at_start: bool, heard_ns: int | None = None) -> None:
        """Ask for the broker's orders and book what the journal lacks; done when it is durable.

        `heard_ns` is when the broker's stream was last heard before it broke; 0 asks for all that came since
        the journal began. At start an approved order that is not among them is asked for by its id, and
        watched where it is not found; later such orders are the sender's or the watch's. Raises what the
        broker raises.
        """
        book = self._records.book
        if not at_start:
            # An order whose answer is still to come may have been filled while nobody listened.
            await self._records.journal.flush()
            await self._sender.orders_done()
        journal_ns = _time_ns(self._records.journal.last_id) or self._began_ns
        if heard_ns == 0:
            heard_ns = _time_ns(self._records.journal.first_id) or self._began_ns
        times_ns = [journal_ns if heard_ns is None else min(journal_ns, heard_ns)]
        times_ns += [order.approved_ns for order in book.open_orders() if order.approved_ns]
        since_ns = max(0, min(times_ns) - _MARGIN_NS)
        found_ids = set()
        for order in await self._sender.call(lambda: self._broker.recent_orders(since_ns)):
            found_ids.add(order.client_order_id)
            known = book.orders.get(order.client_order_id)
            if at_start or known is None or known.settled:
                self._compare(order, self._clock.now_ns())
        for known in list(book.open_orders()):
            if known.client_order_id in found_ids or not (at_start or known.settled):
                continue
            single = await self._sender.call(partial(self._broker.find, known.client_order_id))
            if single is not None:
                self._compare(single, self._clock.now_ns())
            elif not known.settled:
                self._doubt(known.algorithm, known.client_order_id)
        await self._records.journal.flush()

    async def _known_to_broker(self, since_ns: int) -> dict[str, BrokerOrder]:
        """Orders submitted since then, and all that are open, by the broker's id."""
        recent = await self._sender.call(lambda: self._broker.recent_orders(since_ns))
        still_open = await self._sender.call(self._broker.open_orders)
        return {order.id: order for order in (*recent, *still_open)}

    def _compare(self, order: BrokerOrder, now_ns: int) -> None:
        """Book whatever the broker's order says beyond what the book knows."""
        book = self._records.book
        known = book.orders.get(order.client_order_id)
        try:
            if known is None:
                events = adopted(order, now_ns)
                if events:
                    log.warning("order adopted", client_order_id=order.client_order_id)
                    self._records.record(events)
                    known = book.orders[order.client_order_id]
                elif not order.filled_quantity and order.status in ("canceled", "expired", "rejected"):
                    return
            elif not known.broker_order_id:
                sent: list[Message] = [found(known.algorithm, order, known.approved_ns, now_ns)]
                self._records.record(sent)
            self._records.record(caught_up(known, order, now_ns))
        except Unreadable as error:
            # An order of a kind that this OMS has no words for was made elsewhere: its fills will be booked.
            log.error("order at the broker not understood", order=order.id, error=str(error))

    def _doubt(self, algorithm: str, client_order_id: str) -> None:
        why = "approved before a restart; the broker does not know it yet"
        self._records.record(
            [
                OrderUncertain(
                    algorithm=algorithm, client_order_id=client_order_id, why=why, at_ns=self._clock.now_ns()
                )
            ]
        )
        self._watch.add(client_order_id)


def _time_ns(entry_id: str) -> int:
    return int(entry_id.split("-")[0]) * 1_000_000
