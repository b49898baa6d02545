"""A broker that fails: what is refused at once, what is still sent, and who finds out that it answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from fake_broker import FakeBroker
from raw_server import RawServer, Request, answer_bytes, takes_orders
from risk_day import approved, terms
from submitting import submitted
from waiting import until

from bus.clock import SystemClock
from oms.broker.alpaca_broker import AlpacaBroker
from oms.broker.breaker import FAILURES, Breaker
from oms.broker.budget import Bucket
from oms.broker.protocol import Accepted, BrokerError, BrokerUnreachable, Rejected, Unknown
from oms.broker.sender import Sender

SECOND_NS = 1_000_000_000
CLOCK = SystemClock()
ACCOUNT = {"account_number": "PA1", "cash": "1", "equity": "1", "buying_power": "1"}


def opened(now_ns: int = 0) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker()
    assert [breaker.failed(now_ns, "HTTP 503") for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    return breaker


def test_failures_in_a_row_open_it_and_one_answer_in_between_does_not_let_them() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0, "no answer")
    assert not breaker.answered()
    for _ in range(FAILURES - 1):
        breaker.failed(0, "no answer")
    assert not breaker.is_open
    assert breaker.failed(0, "no answer")
    assert breaker.is_open
    assert not breaker.failed(0, "no answer")


def test_look_ups_are_made_one_at_a_time_and_less_often_each_time_they_fail() -> None:
    breaker = opened()
    now_ns, waits = 0, []
    for _ in range(7):
        wait_s = next(second for second in range(100) if breaker.look(now_ns + second * SECOND_NS))
        assert not breaker.look(now_ns + 1000 * SECOND_NS), "one is under way"
        waits.append(wait_s)
        now_ns += wait_s * SECOND_NS
        breaker.failed(now_ns, "HTTP 503")
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert breaker.answered()
    assert not breaker.look(now_ns + 1000 * SECOND_NS)
    assert not breaker.answered()


def test_the_refusal_says_for_how_long_it_failed_how_and_when_it_is_asked_again() -> None:
    reason = opened(5 * SECOND_NS).reason(5 * SECOND_NS)
    assert (reason.code, reason.limit, reason.value) == ("broker_failing", "5", "5")
    assert "HTTP 503" in reason.message
    assert "the next in 1 s" in reason.message


async def test_what_waits_when_the_broker_begins_to_fail_is_refused_at_once() -> None:
    broker = FakeBroker()
    broker.gate.clear()
    sender = Sender(broker, Bucket(CLOCK.monotonic_ns()), CLOCK, connections=1)
    sending = [submitted(sender, approved(terms(), number), lambda: None) for number in range(3)]
    assert sender.waiting == 2
    for _ in range(FAILURES):
        broker.watcher.failed("HTTP 503")
    refused = [await one for one in sending[1:]]
    assert [one.reason.code for one in refused if isinstance(one, Rejected)] == ["broker_failing"] * 2
    with pytest.raises(BrokerUnreachable, match="nothing is sent until it answers a look-up"):
        await sender.ask(broker.account)
    broker.watcher.answered(None)
    broker.gate.set()
    assert isinstance(await sending[0], Accepted)
    await sender.close()


class Ill:
    """A server that answers everything with 503 while it is ill."""

    def __init__(self) -> None:
        self.is_ill = True
        self.headers: dict[str, str] = {}

    async def script(self, server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer as Alpaca does, or fail."""
        if self.is_ill:
            writer.write(answer_bytes(503, b"<html>unavailable</html>"))
        elif request.method == "POST":
            writer.write(answer_bytes(200, request.order(), **self.headers))
        else:
            writer.write(answer_bytes(200, ACCOUNT, **self.headers))


@contextlib.asynccontextmanager
async def sending_to(ill: Ill) -> AsyncIterator[tuple[RawServer, Sender]]:
    """A sender before such a server."""
    async with RawServer(ill.script) as server:
        broker = AlpacaBroker("key-id", "key-secret", CLOCK, url=server.url, timeout_s=2)
        sender = Sender(broker, Bucket(CLOCK.monotonic_ns()), CLOCK)
        try:
            yield server, sender
        finally:
            await sender.close()
            await broker.close()


async def test_an_order_is_never_what_finds_out_whether_the_broker_answers_again() -> None:
    ill = Ill()
    async with sending_to(ill) as (server, sender):
        for number in range(FAILURES):
            assert isinstance(await submitted(sender, approved(terms(), number), lambda: None), Unknown)
        refused = await submitted(sender, approved(terms(), 50), lambda: None)
        assert isinstance(refused, Rejected)
        assert refused.reason.code == "broker_failing"
        assert "HTTP 503" in sender.details({}).broker_failing
        # A cancel is tried all the same: it makes things safer.
        cancel = asyncio.ensure_future(sender.cancel("an-order", "alpha"))
        await until(lambda: any(request.method == "DELETE" for request in server.requests))
        ill.is_ill = False
        await until(lambda: not sender.breaker.is_open, "a look-up, or the cancel, to be answered")
        with contextlib.suppress(BrokerError):
            await cancel
        assert sender.details({}).broker_failing == ""
        assert isinstance(await submitted(sender, approved(terms(), 51), lambda: None), Accepted)
        posted = [json.loads(one.body)["client_order_id"] for one in server.requests if one.method == "POST"]
        # None was sent twice, and none while it failed.
        assert len(posted) == len(set(posted)) == FAILURES + 1


async def test_the_look_up_alone_ends_it() -> None:
    ill = Ill()
    async with sending_to(ill) as (server, sender):
        for number in range(FAILURES):
            await submitted(sender, approved(terms(), number), lambda: None)
        ill.is_ill = False
        await until(lambda: not sender.breaker.is_open, "the look-up")
        assert [one.method for one in server.requests] == ["POST"] * FAILURES + ["GET"]


async def test_what_an_answer_says_of_the_limit_is_believed() -> None:
    ill = Ill()
    ill.is_ill = False
    ill.headers = {"X_RateLimit_Remaining": "12", "X_RateLimit_Reset": "1785762020"}
    ill.headers["Date"] = "Mon, 03 Aug 2026 13:00:00 GMT"
    async with sending_to(ill) as (_, sender):
        assert isinstance(await submitted(sender, approved(terms(), 1), lambda: None), Accepted)
        assert sender.bucket.tokens == 12
        # Twelve are the reserve of look-ups and of the kill switch.
        refused = await submitted(sender, approved(terms(), 2), lambda: None)
        assert isinstance(refused, Rejected)
        assert refused.reason.code == "rate_budget"
        assert 19 < sender.details({}).closed_s <= 20
        ill.headers["X_RateLimit_Remaining"] = "180"
        await sender.ask(sender._broker.account)
        assert isinstance(await submitted(sender, approved(terms(), 3), lambda: None), Accepted)


@pytest.mark.parametrize("written", ["", "many", "-1", "1" * 500])
async def test_a_limit_that_cannot_be_read_changes_nothing(written: str) -> None:
    ill = Ill()
    ill.is_ill = False
    ill.headers = {"X_RateLimit_Remaining": written, "X_RateLimit_Reset": "1785762020"}
    async with sending_to(ill) as (_, sender):
        assert isinstance(await submitted(sender, approved(terms(), 1), lambda: None), Accepted)
        assert sender.bucket.tokens == 49


async def test_a_plain_answer_without_headers_is_an_answer() -> None:
    async with RawServer(takes_orders) as server:
        broker = AlpacaBroker("key-id", "key-secret", CLOCK, url=server.url)
        sender = Sender(broker, Bucket(CLOCK.monotonic_ns()), CLOCK)
        for _ in range(FAILURES - 1):
            sender.failed("no answer")
        assert isinstance(await submitted(sender, approved(terms(), 1), lambda: None), Accepted)
        sender.failed("no answer")
        assert not sender.breaker.is_open
        await broker.close()
