"""Asking the broker what the engine wants to know; each question once, without deciding anything."""

from bus.clock import Clock
from oms.broker import Broker, BrokerOrder, OrdersQuery, UnreadableOrder
from oms.budget import Lane
from oms.inputs import (
    AccountListed,
    Answered,
    CompareAccount,
    FindOrder,
    ListAccount,
    ListOpenOrders,
    ListOrders,
    ListPositions,
    Question,
)
from oms.sender import Sender


async def answer(question: Question, broker: Broker, sender: Sender, clock: Clock) -> Answered:
    """Ask one question within the request budget. Raises BrokerError where it was not answered."""
    asked_ns = clock.monotonic_ns()
    match question:
        case FindOrder(client_order_id):
            found = await sender.ask(lambda: broker.find(client_order_id))
            return Answered(question, found, asked_ns)
        case ListOrders(since_ns):
            return Answered(question, list((await _orders(since_ns, sender, "doubt")).values()), asked_ns)
        case ListOpenOrders():
            return Answered(question, await sender.orders(OrdersQuery("open")), asked_ns)
        case ListPositions():
            positions = await sender.ask(broker.positions, "urgent")
            return Answered(question, AccountListed((), positions), asked_ns)
        case ListAccount(since_ns):
            return Answered(question, await _account(since_ns, broker, sender), asked_ns)
        case CompareAccount(since_ns):
            # It only checks: orders do not wait for it, and it takes turns with them.
            return Answered(question, await _account_once(since_ns, broker, sender, "shared"), asked_ns)


async def _account(since_ns: int, broker: Broker, sender: Sender) -> AccountListed:
    """Orders and positions that belong together: nothing was filled between the two answers."""
    while True:
        listed = await _account_once(since_ns, broker, sender, "doubt")
        if listed.positions is not None:
            return listed


async def _account_once(since_ns: int, broker: Broker, sender: Sender, lane: Lane) -> AccountListed:
    orders = await _orders(since_ns, sender, lane)
    positions = await sender.ask(broker.positions, lane)
    again = await _orders(since_ns, sender, lane)
    return AccountListed(list(again.values()), positions if again == orders else None)


async def _orders(since_ns: int, sender: Sender, lane: Lane) -> dict[str, BrokerOrder | UnreadableOrder]:
    """Orders submitted since then, and all that are open, by the broker's id."""
    recent = await sender.orders(OrdersQuery("all", since_ns), lane)
    still_open = await sender.orders(OrdersQuery("open"), lane)
    return {order.id: order for order in (*recent, *still_open)}
