"""The sender: whose turn it is, what waits, what is repeated, and what is never sent."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from fake_broker import FakeBroker
from risk_day import approved, approved_closing, approved_replace, terms
from submitting import submitted
from waiting import until

from bus.clock import SystemClock
from bus.order_messages import Reason
from oms.broker.budget import Bucket
from oms.broker.protocol import (
    Accepted,
    Broker,
    BrokerError,
    BrokerRefused,
    BrokerUnreachable,
    MaySend,
    OrdersPage,
    OrdersQuery,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unknown,
)
from oms.broker.sender import Sender
from oms.broker.turns import Turn, Turns
from oms.requests.cancels import CANCELED_UNSENT
from oms.risk.approval import Approved

CLOCK = SystemClock()

Result = TypeVar("Result")


def wanted() -> Approved:
    """Permission for an order."""
    return approved(terms("3", type="limit", limit_price=Decimal(50)), uuid.uuid4().hex)


def of_algorithm(name: str) -> Approved:
    """Permission for an order of this algorithm."""
    return approved(terms("3", type="limit", limit_price=Decimal(50)), uuid.uuid4().hex, algorithm=name)


def allowed() -> None:
    """Permission granted."""


def sender_of(broker: Broker, per_minute: int = 100_000, **changes: Any) -> Sender:
    """A sender whose budget does not matter unless it is given."""
    return Sender(broker, Bucket(CLOCK.monotonic_ns(), per_minute), CLOCK, **changes)


def started(call: Awaitable[Result]) -> "asyncio.Future[Result]":
    """A task of a call."""
    return asyncio.ensure_future(call)


class Held(FakeBroker):
    """A broker that knows which orders are inside it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: list[str] = []
        self.most = 0

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Count those that are inside at once."""
        self.under_way.append(approved.client_order_id)
        self.most = max(self.most, len(self.under_way))
        try:
            return await super().submit(approved, may_send)
        finally:
            self.under_way.remove(approved.client_order_id)


async def test_orders_go_out_in_order_and_no_more_at_once_than_there_are_connections() -> None:
    broker = Held()
    broker.gate.clear()
    sender = sender_of(broker, connections=2)
    orders = [wanted() for _ in range(6)]
    sending = [submitted(sender, order, allowed) for order in orders]
    await until(lambda: sender.waiting == 4 and len(broker.under_way) == 2)
    assert broker.under_way == [order.client_order_id for order in orders[:2]]
    broker.gate.set()
    assert [type(outcome) for outcome in await asyncio.gather(*sending)] == [Accepted] * 6
    assert broker.sent == [order.client_order_id for order in orders]
    assert broker.most == 2


async def test_a_cancel_and_a_question_pass_orders_that_hold_every_connection() -> None:
    broker = Held()
    sender = sender_of(broker, connections=1)
    first = await submitted(sender, wanted(), allowed)
    assert isinstance(first, Accepted)
    broker.gate.clear()
    sending = [submitted(sender, wanted(), allowed) for _ in range(3)]
    await until(lambda: sender.waiting == 2)
    await sender.cancel(first.order.id)
    assert (await sender.ask(broker.account)).equity == 100_000
    assert broker.canceled == [first.order.id]
    assert len(broker.sent) == 1
    broker.gate.set()
    await asyncio.gather(*sending)


async def test_orders_that_flatten_leave_before_a_queue_of_orders() -> None:
    """With the burst of the request budget spent, and hundreds of orders waiting for what flows in."""
    broker = Held()
    sender = sender_of(broker, per_minute=400, longest_wait_s=60)
    waiting = [submitted(sender, wanted(), allowed) for _ in range(500)]
    await until(lambda: len(broker.sent) >= 70 and not broker.under_way, "the burst to be spent")
    before = len(broker.sent)
    closing = [approved_closing(f"S{number}") for number in range(20)]
    outcomes = await asyncio.gather(*(submitted(sender, order, allowed) for order in closing))
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 20
    assert broker.sent[before : before + 20] == [order.client_order_id for order in closing]
    await sender.close()
    assert not all(one.done() for one in waiting)


async def test_orders_that_flatten_need_no_connection_of_other_orders() -> None:
    broker = Held()
    broker.gate.clear()
    sender = sender_of(broker, connections=2)
    waiting = [submitted(sender, wanted(), allowed) for _ in range(4)]
    await until(lambda: len(broker.under_way) == 2)
    closing = submitted(sender, approved_closing("AAPL"), allowed)
    await until(lambda: approved_closing("AAPL").client_order_id in broker.under_way)
    broker.gate.set()
    await asyncio.gather(closing, *waiting)


async def test_an_order_that_flattens_waits_as_long_as_it_takes() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, per_minute=240, longest_wait_s=0.01)
    sender.bucket.limited(CLOCK.monotonic_ns())
    assert isinstance(await submitted(sender, approved_closing("AAPL"), allowed), Accepted)
    broker.limit_next()
    assert isinstance(await submitted(sender, approved_closing("MSFT"), allowed), Accepted)


async def test_an_order_that_the_budget_does_not_allow_in_time_is_refused_and_not_sent() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, per_minute=4, longest_wait_s=0.05)
    assert isinstance(await submitted(sender, wanted(), allowed), Accepted)
    asked: list[None] = []
    refused = await submitted(sender, wanted(), lambda: asked.append(None))
    assert isinstance(refused, Rejected)
    assert (refused.by, refused.reason.code, refused.reason.limit) == ("oms", "rate_budget", "0.05")
    assert (len(broker.sent), asked) == (1, [])


async def test_an_order_waits_for_the_budget_and_only_then_asks_whether_it_may_be_sent() -> None:
    broker = FakeBroker()
    # One token every two thirds of a second: however slow the machine, the first look finds none.
    sender = sender_of(broker, per_minute=120)
    sender.bucket.limited(CLOCK.monotonic_ns(), 600_000_000)
    tokens: list[int] = []

    def may_send() -> None:
        tokens.append(sender.bucket.tokens)

    sending = submitted(sender, wanted(), may_send)
    await asyncio.sleep(0)
    assert (sender.waiting, tokens) == (1, [])
    assert isinstance(await sending, Accepted)
    assert len(tokens) == 1


async def test_a_cancel_goes_before_orders_of_its_algorithm_that_waited_longer() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, per_minute=6000)
    first = await submitted(sender, wanted(), allowed)
    assert isinstance(first, Accepted)
    while sender.bucket.take("shared", CLOCK.monotonic_ns()):
        pass
    sending = submitted(sender, wanted(), allowed)
    assert sender.waiting == 1
    await sender.cancel(first.order.id, "alpha")
    assert broker.canceled == [first.order.id]
    assert (len(broker.sent), sender.waiting) == (1, 1)
    assert isinstance(await sending, Accepted)


async def test_an_order_that_waits_can_be_withdrawn_and_one_under_way_cannot() -> None:
    broker = Held()
    broker.gate.clear()
    sender = sender_of(broker, connections=1)
    going, waiting = wanted(), wanted()
    sending = [submitted(sender, order, allowed) for order in (going, waiting)]
    await until(lambda: sender.waiting == 1)
    assert not sender.withdraw(going.client_order_id, CANCELED_UNSENT)
    assert sender.withdraw(waiting.client_order_id, CANCELED_UNSENT)
    assert not sender.withdraw(waiting.client_order_id, CANCELED_UNSENT)
    refused = await sending[1]
    assert isinstance(refused, Rejected)
    assert (refused.by, refused.reason.code) == ("oms", "canceled")
    broker.gate.set()
    await sending[0]
    assert broker.sent == [going.client_order_id]


async def test_a_rate_limited_order_goes_again_before_those_behind_it() -> None:
    broker = Held()
    broker.gate.clear()
    broker.limit_next()
    sender = sender_of(broker, per_minute=6000, connections=1)
    orders = [wanted() for _ in range(3)]
    sending = [submitted(sender, order, allowed) for order in orders]
    await until(lambda: sender.waiting == 2)
    broker.gate.set()
    outcomes = await asyncio.gather(*sending)
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 3
    ids = [order.client_order_id for order in orders]
    assert broker.sent == [ids[0], *ids]


async def test_a_rate_limited_order_that_cannot_go_again_in_time_is_refused() -> None:
    broker = FakeBroker()
    broker.limit_next(reset_s=30)
    sender = sender_of(broker, longest_wait_s=0.05)
    refused = await submitted(sender, wanted(), allowed)
    assert isinstance(refused, Rejected)
    assert refused.reason.code == "rate_budget"
    assert len(broker.sent) == 1
    # The limit is the account's: all but the kill switch waits for the broker's own reset.
    assert sender.bucket.wait_ns("shared", CLOCK.monotonic_ns()) > 20 * 1_000_000_000
    assert sender.bucket.wait_ns("doubt", CLOCK.monotonic_ns()) > 20 * 1_000_000_000
    assert sender.bucket.wait_ns("urgent", CLOCK.monotonic_ns()) <= 1_000_000_000


async def test_a_doubt_and_a_refusal_are_returned_and_nothing_is_sent_again() -> None:
    broker = FakeBroker()
    sender = sender_of(broker)
    broker.lose_next()
    assert isinstance(await submitted(sender, wanted(), allowed), Unknown)
    broker.refuse_next("40310000", "insufficient buying power")
    refused = await submitted(sender, wanted(), allowed)
    assert isinstance(refused, Rejected)
    assert refused.reason.code == "broker_40310000"
    halted = Reason(code="halted", message="everything is halted")
    assert await submitted(sender, wanted(), lambda: halted) == Rejected("oms", halted)
    assert len(broker.sent) == 2


async def test_a_replace_takes_the_place_of_the_order_that_it_names() -> None:
    broker = FakeBroker()
    sender = sender_of(broker)
    old_terms = terms("3", type="limit", limit_price=Decimal(50))
    old = await submitted(sender, approved(old_terms), allowed)
    assert isinstance(old, Accepted)
    new_terms = terms("2", type="limit", limit_price=Decimal(50))
    new = await submitted(sender, approved_replace(old.order, old_terms, new_terms, 2), allowed)
    assert isinstance(new, Accepted)
    assert new.order.replaces == old.order.id
    assert broker.orders[old.order.client_order_id].replaced_by == new.order.id


class Deaf(FakeBroker):
    """A broker that fails so many cancels and questions before it answers."""

    def __init__(self, *failures: BrokerError) -> None:
        super().__init__()
        self.failures = list(failures)
        self.asked = 0

    async def cancel(self, broker_order_id: str) -> None:
        """Fail, or do it."""
        del broker_order_id
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def quick_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancels that are repeated after milliseconds."""
    monkeypatch.setattr("oms.broker.sender.CANCEL_WAITS_S", (0.001, 0.002, 0.003))


@pytest.mark.usefixtures("quick_cancels")
async def test_a_cancel_is_repeated_until_it_is_answered() -> None:
    broker = Deaf(OutcomeUnknown("no answer"), RateLimited("too many"), BrokerUnreachable("no connection"))
    sender = sender_of(broker)
    await sender.cancel("an-order")
    assert broker.asked == 4


@pytest.mark.usefixtures("quick_cancels")
async def test_a_cancel_that_nobody_answers_raises_the_last_error() -> None:
    broker = Deaf(*(OutcomeUnknown(f"no answer {number}") for number in range(5)))
    with pytest.raises(OutcomeUnknown, match="no answer 3"):
        await sender_of(broker).cancel("an-order")
    assert broker.asked == 4


@pytest.mark.usefixtures("quick_cancels")
async def test_a_refused_cancel_is_not_repeated() -> None:
    broker = Deaf(BrokerRefused("42210000", "order is already filled"))
    with pytest.raises(BrokerRefused):
        await sender_of(broker).cancel("an-order")
    assert broker.asked == 1


async def test_a_question_is_asked_once_and_raises_what_the_broker_raises() -> None:
    broker = Deaf(RateLimited("too many"), OutcomeUnknown("no answer"))
    sender = sender_of(broker)
    with pytest.raises(RateLimited):
        await sender.ask(lambda: broker.cancel("one"))
    assert sender.bucket.wait_ns("doubt", CLOCK.monotonic_ns()) > 0
    with pytest.raises(OutcomeUnknown):
        await sender.ask(lambda: broker.cancel("one"))
    assert broker.asked == 2


class Paged(FakeBroker):
    """A broker that lists the given pages, each following the one before; the last names itself."""

    def __init__(self, *pages: str) -> None:
        super().__init__()
        self.pages = pages
        self.asked: list[int | None] = []

    async def orders_page(self, query: OrdersQuery) -> OrdersPage:
        """The page that the query's time numbers."""
        self.asked.append(query.after_ns)
        number = query.after_ns or 0
        orders = []
        for letter in self.pages[number]:
            outcome = await self.submit(approved(terms(), f"{letter}{number}"), allowed)
            assert isinstance(outcome, Accepted)
            orders.append(replace(outcome.order, id=letter))
        following = min(number + 1, len(self.pages) - 1)
        return OrdersPage(tuple(orders), OrdersQuery(query.status, following))


async def test_orders_are_listed_page_by_page_each_once_and_as_the_later_page_has_it() -> None:
    broker = Paged("abc", "bcd", "de", "e")
    listed = await sender_of(broker).orders(OrdersQuery("all", 0))
    assert [order.id for order in listed] == ["a", "b", "c", "d", "e"]
    assert listed[1].client_order_id == approved(terms(), "b1").client_order_id
    # The page that brought nothing new was the last.
    assert broker.asked == [0, 1, 2, 3]


async def test_it_tells_what_is_left_to_do() -> None:
    broker = Held()
    broker.gate.clear()
    sender = sender_of(broker, connections=1)
    await sender.idle()
    assert not sender.busy
    sending = [submitted(sender, wanted(), allowed) for _ in range(2)]
    idle = started(sender.idle())
    await until(lambda: sender.waiting == 1)
    assert sender.busy
    assert "0 look-ups and 1 others waiting, 1 under way" in repr(sender)
    assert not idle.done()
    broker.gate.set()
    await asyncio.gather(*sending, idle)
    assert not sender.busy


@pytest.mark.usefixtures("quick_cancels")
async def test_it_is_busy_while_a_question_is_still_asked() -> None:
    answered = asyncio.Event()
    sender = sender_of(FakeBroker())
    question = started(sender.ask(answered.wait))
    await until(lambda: sender.busy)
    await submitted(sender, wanted(), allowed)
    assert sender.busy
    answered.set()
    await question
    await sender.idle()


async def test_a_canceled_question_gives_its_turn_to_the_next_wherever_it_was() -> None:
    broker = Held()
    sender = sender_of(broker, connections=1)
    never = asyncio.Event()
    asking = [started(sender.ask(never.wait, "shared")) for _ in range(2)]
    await until(lambda: sender.waiting == 1)
    last = wanted()
    sending = submitted(sender, last, allowed)
    assert sender.waiting == 2
    asking[1].cancel()
    asking[0].cancel()
    assert isinstance(await sending, Accepted)
    assert broker.sent == [last.client_order_id]
    await asyncio.gather(*asking, return_exceptions=True)
    assert not sender.busy
    assert "0 under way" in repr(sender)


async def test_once_closed_nothing_more_is_sent_and_what_is_under_way_ends_unanswered() -> None:
    broker = Held()
    broker.gate.clear()
    sender = sender_of(broker, connections=1)
    orders = [wanted() for _ in range(3)]
    sending = [submitted(sender, order, allowed) for order in orders]
    await until(lambda: sender.waiting == 2)
    await sender.close()
    assert broker.under_way == []
    broker.gate.set()
    sending.append(submitted(sender, wanted(), allowed))
    for _ in range(50):
        await asyncio.sleep(0)
    assert (broker.sent, [one.done() for one in sending]) == ([], [False] * 4)


async def test_once_closed_a_turn_that_is_given_back_is_nobodys_and_nobody_hears_that_it_was_late() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, connections=1, longest_wait_s=0.05)
    asking = started(sender.ask(asyncio.Event().wait, "shared"))
    await until(lambda: sender.turns.queue.size == 0 and sender.busy)
    sending = submitted(sender, wanted(), allowed)
    asked_ns = CLOCK.monotonic_ns()
    await sender.close()
    await until(lambda: CLOCK.monotonic_ns() > asked_ns + 50_000_000, "the order's time to end")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (broker.sent, sending.done()) == ([], False)


async def test_what_the_journal_took_is_part_of_the_longest_wait() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, per_minute=4, longest_wait_s=5)
    outcomes: list[Any] = []

    def submit(waited_s: float) -> None:
        sender.submit(
            wanted(), lambda _: None, lambda _, answer: outcomes.append(answer), int(waited_s * 1e9)
        )

    submit(4.9)
    await until(lambda: len(outcomes) == 1)
    assert isinstance(outcomes.pop(), Accepted)
    for waited_s, code in ((4.9, "rate_budget"), (5.1, "journalled_late")):
        submit(waited_s)
        assert sender.busy, "until whoever asked was told"
        await sender.idle()
        assert [(one.by, one.reason.code) for one in outcomes] == [("oms", code)]
        outcomes.clear()
    assert len(broker.sent) == 1


class Ending(Held):
    """A broker that does something at the end of its next order."""

    at_end: Callable[[], object] | None = None

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Take the order, and do it."""
        outcome = await super().submit(approved, may_send)
        if self.at_end is not None:
            self.at_end()
            self.at_end = None
        return outcome


@pytest.mark.parametrize("when", ["before its turn is granted", "after"])
async def test_a_question_that_is_canceled_in_the_moment_of_its_turn_does_not_keep_it(when: str) -> None:
    broker = Ending()
    broker.gate.clear()
    sender = sender_of(broker, connections=1)
    first = submitted(sender, wanted(), allowed)
    question = started(sender.ask(broker.account, "shared"))
    last = started(sender.ask(broker.account, "shared"))
    await until(lambda: sender.waiting == 2)
    # The turn is granted as the first order ends; the loop's next callback runs after that.
    cancel = question.cancel
    broker.at_end = cancel if when != "after" else lambda: asyncio.get_running_loop().call_soon(cancel)
    broker.gate.set()
    assert isinstance(await first, Accepted)
    await last
    await asyncio.wait({question})
    assert question.cancelled()
    assert not sender.busy
    assert "0 under way" in repr(sender)


async def test_a_defect_in_a_broker_is_raised_and_holds_no_turn() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, connections=1)

    def defect() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await submitted(sender, wanted(), defect)
    assert isinstance(await submitted(sender, wanted(), allowed), Accepted)
    assert not sender.busy


async def test_who_goes_again_waits_where_its_time_puts_it_and_hears_in_time() -> None:
    now_ns = CLOCK.monotonic_ns()
    late = Reason(code="rate_budget", message="too late")
    heard: dict[str, Reason | None] = {}

    class Told(Turn):
        def told(self, refused: Reason | None) -> None:
            heard[self.name] = refused

    turns = Turns(Bucket(now_ns, 200), CLOCK, 1, lambda turn, _: late)
    holding = await turns.take("shared", "alpha", "new")
    for name, seconds in (("later", 600), ("sooner", 0.05)):
        until_ns = now_ns + int(seconds * 1e9)
        turns.ask(Told("shared", "alpha", "new", name, until_ns))
    await until(lambda: bool(heard), "the one whose time ends first to hear it")
    assert heard == {"sooner": late}
    assert turns.withdraw("later", CANCELED_UNSENT)
    assert heard["later"] == CANCELED_UNSENT
    turns.give_back(holding)


async def test_what_cannot_go_in_time_by_the_brokers_own_word_is_refused_at_once() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, longest_wait_s=5)
    sender.bucket.limited(CLOCK.monotonic_ns(), 30_000_000_000)
    refused = await asyncio.wait_for(submitted(sender, wanted(), allowed), 1)
    assert isinstance(refused, Rejected)
    assert refused.reason.code == "rate_budget"
    assert "takes no more requests for 30.0 s" in refused.reason.message


async def test_an_algorithm_with_many_orders_is_in_its_own_way_alone() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, per_minute=1000)
    while sender.bucket.take("shared", CLOCK.monotonic_ns()):
        pass
    orders = [of_algorithm("beta") for _ in range(200)]
    many = [submitted(sender, order, allowed) for order in orders]
    alone = submitted(sender, of_algorithm("alpha"), allowed)
    await alone
    # It asked last, and only one of each other went before it.
    assert [order.split("-")[1] for order in broker.sent[:3]].count("beta") <= 2
    # Sixty-two go in five seconds at the most: what is behind so many of its own is refused at once.
    refused = [one.result() for one in many if one.done() and isinstance(one.result(), Rejected)]
    assert 200 - 62 - 2 <= len(refused) <= 200 - 62
    for order in orders:
        sender.withdraw(order.client_order_id, CANCELED_UNSENT)
    await sender.idle()
    assert sender.waiting == 0


async def test_the_kill_switch_takes_a_cancel_out_of_the_queue_that_its_algorithm_fills() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, per_minute=120)
    first = await submitted(sender, wanted(), allowed)
    assert isinstance(first, Accepted)
    while sender.bucket.take("shared", CLOCK.monotonic_ns()):
        pass
    cancels = [started(sender.cancel(f"broker-{number}", "alpha")) for number in range(20)]
    cancel = started(sender.cancel(first.order.id, "alpha"))
    await until(lambda: sender.waiting == 21)
    sender.hasten(first.order.id)
    await asyncio.wait_for(cancel, 0.4)
    assert broker.canceled == [first.order.id]
    for one in cancels:
        one.cancel()
    await asyncio.gather(*cancels, return_exceptions=True)


async def test_what_was_not_sent_after_all_costs_no_request() -> None:
    broker = FakeBroker()
    sender = sender_of(broker, per_minute=40)
    halted = Reason(code="halted", message="everything is halted")
    async with asyncio.timeout(4):
        outcomes = [await submitted(sender, wanted(), lambda: halted) for _ in range(50)]
    assert {outcome.reason.code for outcome in outcomes if isinstance(outcome, Rejected)} == {"halted"}
    assert isinstance(await submitted(sender, wanted(), allowed), Accepted)
