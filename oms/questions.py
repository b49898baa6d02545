"""Asking the broker what the engine wants to know; each question once, without deciding anything."""

from functools import partial

from bus.clock import Clock
from oms.broker.budget import Lane
from oms.broker.protocol import (
    ActivitiesQuery,
    Broker,
    BrokerActivity,
    BrokerOrder,
    OrdersQuery,
    UnreadableOrder,
)
from oms.broker.sender import Sender
from oms.state.inputs import (
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
        case ListAccount():
            return Answered(question, await _account(question, broker, sender), asked_ns)
        case CompareAccount():
            # It only checks: orders do not wait for it, and it takes turns with them.
            return Answered(question, await _account_once(question, broker, sender, "shared"), asked_ns)


async def _account(question: ListAccount, broker: Broker, sender: Sender) -> AccountListed:
    """Orders, positions and money that belong together: nothing was filled between the answers."""
    while True:
        listed = await _account_once(question, broker, sender, "doubt")
        if listed.before is None:
            return listed


async def _account_once(
    question: ListAccount | CompareAccount, broker: Broker, sender: Sender, lane: Lane
) -> AccountListed:
    activities = await _activities(question.activities_since_ns, broker, sender, lane)
    before = await _orders(question.since_ns, sender, lane)
    positions = await sender.ask(broker.positions, lane)
    account = await sender.ask(broker.account, lane)
    orders = await _orders(question.since_ns, sender, lane)
    return AccountListed(
        list(orders.values()),
        positions if _unreadable(before) == _unreadable(orders) else None,
        account,
        activities,
        None if before == orders else list(before.values()),
    )


def _unreadable(orders: dict[str, BrokerOrder | UnreadableOrder]) -> list[UnreadableOrder]:
    return [order for order in orders.values() if isinstance(order, UnreadableOrder)]


async def _activities(since_ns: int, broker: Broker, sender: Sender, lane: Lane) -> list[BrokerActivity]:
    """What happened to the account since then that is no trade, page by page."""
    found: dict[str, BrokerActivity] = {}
    following: ActivitiesQuery | None = ActivitiesQuery(since_ns)
    while following is not None:
        page = await sender.ask(partial(broker.activities_page, following), lane)
        known = len(found)
        found.update((one.id, one) for one in page.activities)
        following = page.next if len(found) > known else None
    return list(found.values())


async def _orders(since_ns: int, sender: Sender, lane: Lane) -> dict[str, BrokerOrder | UnreadableOrder]:
    """Orders submitted since then, and all that are open, by the broker's id."""
    recent = await sender.orders(OrdersQuery("all", since_ns), lane)
    still_open = await sender.orders(OrdersQuery("open"), lane)
    return {order.id: order for order in (*recent, *still_open)}
