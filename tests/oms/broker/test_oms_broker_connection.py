"""What comes of an order on connections that drip, hang, break, go stale or answer nonsense."""

import asyncio
import contextlib
import logging
import select
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest
import uvloop
from raw_server import (
    RawServer,
    Request,
    Script,
    answer_bytes,
    drips,
    half_then_close,
    half_then_silence,
    hangs_up,
    says_nothing,
    takes_orders,
)
from risk_day import approved, terms
from submitting import submitted
from waiting import until

from bus.clock import ManualClock, SystemClock
from bus.errors import Unreadable
from bus.order_messages import Reason
from bus.rfc3339 import time_ns
from oms.broker.alpaca_broker import AlpacaBroker
from oms.broker.alpaca_orders import resumes_ns
from oms.broker.budget import Bucket
from oms.broker.connect import connect
from oms.broker.http_client import HttpClient
from oms.broker.protocol import (
    Accepted,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    KeysRefused,
    OrdersQuery,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unknown,
    UnreadablePosition,
)
from oms.broker.sender import Sender
from oms.risk.approval import Approved

pytestmark = pytest.mark.integration

CLOCK = SystemClock()
TIMEOUT_S = 0.4
HALTED = Reason(code="halted", message="everything is halted")


def wanted() -> Approved:
    """Permission for an order."""
    return approved(terms("3", type="limit", limit_price=Decimal(5)), uuid.uuid4().hex)


def allowed() -> None:
    """Permission granted."""


@contextlib.asynccontextmanager
async def serving(
    script: Script, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[tuple[RawServer, AlpacaBroker]]:
    """A server of this script and a broker for it."""
    async with RawServer(script) as server:
        broker = AlpacaBroker("key-id", "key-secret", CLOCK, url=server.url, timeout_s=timeout_s)
        try:
            yield server, broker
        finally:
            await broker.close()


def answering(status: int, body: Any, **headers: str) -> Script:
    """A script that answers everything with this."""

    async def script(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
        del server, request
        writer.write(answer_bytes(status, body, **headers))

    return script


@pytest.mark.parametrize("script", [says_nothing, drips, hangs_up, half_then_silence, half_then_close])
async def test_an_order_without_a_whole_answer_is_in_doubt_in_time_and_sent_once(script: Script) -> None:
    async with serving(script) as (server, broker):
        began = time.monotonic()
        outcome = await broker.submit(wanted(), allowed)
        assert isinstance(outcome, Unknown), outcome
        assert time.monotonic() - began < 3 * TIMEOUT_S
        # The connection is given up with it, and nothing was tried on another.
        await until(lambda: server.closed_by_peer == 1)
        assert ([request.method for request in server.requests], server.connections) == (["POST"], 1)


@pytest.mark.parametrize("script", [says_nothing, drips, hangs_up])
async def test_a_cancel_or_question_without_an_answer_is_asked_once_by_the_broker(script: Script) -> None:
    async def empty(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
        request.body = b'{"client_order_id": "one"}'
        await script(server, request, writer)

    async with serving(empty) as (server, broker):
        with pytest.raises(OutcomeUnknown):
            await broker.cancel("an-order")
        with pytest.raises(OutcomeUnknown):
            await broker.find("one")
        assert [request.method for request in server.requests] == ["DELETE", "GET"]


async def test_answers_that_drip_hold_no_other_order_for_longer_than_one_deadline() -> None:
    """With a timeout for each read, three such answers took every sending thread for minutes."""

    async def script(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
        await (drips if request.number < 3 else takes_orders)(server, request, writer)

    async with serving(script) as (server, broker):
        sender = Sender(broker, Bucket(CLOCK.monotonic_ns(), 10_000), CLOCK, connections=3, longest_wait_s=3)
        outcomes = await asyncio.gather(*(submitted(sender, wanted(), allowed) for _ in range(8)))
        assert [type(outcome) for outcome in outcomes] == [Unknown] * 3 + [Accepted] * 5
        assert len(server.requests) == 8


async def test_a_server_that_never_finishes_opening_was_sent_nothing() -> None:
    async with RawServer(says_nothing) as server:
        url = server.url.replace("http:", "https:")
        broker = AlpacaBroker("key-id", "key-secret", CLOCK, url=url, timeout_s=TIMEOUT_S)
        asked: list[None] = []
        outcome = await broker.submit(wanted(), lambda: asked.append(None))
        # What was opened halfway is given up at once, not when it is garbage.
        await until(lambda: server.closed_by_peer == 1)
        await broker.close()
        assert isinstance(outcome, Rejected)
        assert (outcome.by, outcome.reason.code) == ("oms", "broker_unreachable")
        assert asked == []


def with_loops(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[Callable[[], Any]], None]:
    """The test in asyncio's loop and in the one that services run in."""

    @pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
    def run(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(test())

    run.__doc__ = test.__doc__
    return run


@with_loops
async def test_permission_is_asked_with_the_connection_open_and_nothing_runs_before_the_first_byte() -> None:
    """The kernel accepts for a listener that nobody serves: what it holds is what was sent so far."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        broker = AlpacaBroker(
            "k", "s", CLOCK, url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=TIMEOUT_S
        )
        accepted: list[socket.socket] = []
        seen: list[bytes] = []

        def peek() -> None:
            seen.append(
                accepted[0].recv(4, socket.MSG_PEEK) if select.select(accepted, [], [], 0)[0] else b""
            )

        def may_send() -> None:
            accepted.append(listener.accept()[0])
            peek()
            # The first thing that the loop does once it is let: the bytes are out by then.
            asyncio.get_running_loop().call_soon(peek)

        assert isinstance(await broker.submit(wanted(), may_send), Unknown)
        await broker.close()
        accepted[0].close()
        assert seen == [b"", b"POST"]


@with_loops
async def test_what_the_network_has_not_taken_at_the_deadline_never_arrives() -> None:
    """The system would go on sending it: an order of which nobody found anything would arrive after that."""
    with socket.socket() as listener:
        # So little that the rest of the request waits in our own system until the peer reads.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", {}, CLOCK, timeout_s=0.2)
        with pytest.raises(OutcomeUnknown):
            await client.request("POST", "/v2/orders", b"x" * 30_000)
        await client.close()
        peer, _ = listener.accept()
        with peer, pytest.raises(ConnectionResetError):
            _read_to_the_end(peer)


def _read_to_the_end(peer: socket.socket) -> None:
    while peer.recv(65536):
        pass


@with_loops
async def test_what_nobody_acknowledges_is_not_sent_for_longer_than_the_deadline() -> None:
    """Also where this process stands still meanwhile."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        pytest.skip("this system has no such bound")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = await connect(*listener.getsockname(), None, 0.25)
        assert connection._transport is not None
        wire = connection._transport.get_extra_info("socket")
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 250
        connection.abort()
        await connection.closed


async def test_without_permission_no_byte_leaves_and_the_next_order_goes_out() -> None:
    async with serving(takes_orders) as (server, broker):
        assert await broker.submit(wanted(), lambda: HALTED) == Rejected("oms", HALTED)
        order = wanted()
        assert isinstance(await broker.submit(order, allowed), Accepted)
        # The same connection served it: the first thing that came on it is the second order.
        (request,) = server.requests
        assert request.order()["client_order_id"] == order.client_order_id
        assert server.connections == 1


async def test_orders_follow_each_other_on_one_connection() -> None:
    async with serving(takes_orders) as (server, broker):
        for _ in range(5):
            assert isinstance(await broker.submit(wanted(), allowed), Accepted)
        assert server.connections == 1


@with_loops
async def test_no_order_is_posted_on_a_connection_that_the_broker_has_closed() -> None:
    async def script(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
        # It says nothing of closing: that would be `Connection: close`.
        await takes_orders(server, request, writer)
        await writer.drain()
        await hangs_up(server, request, writer)
        finished.set()

    finished = asyncio.Event()
    async with serving(script) as (server, broker):
        for number in range(1, 21):
            assert isinstance(await broker.submit(wanted(), allowed), Accepted)
            await finished.wait()
            finished.clear()
            assert server.connections == number


@with_loops
async def test_a_close_that_the_loop_has_not_read_yet_is_seen_before_an_order_is_posted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        broker = AlpacaBroker(
            "k", "s", CLOCK, url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=TIMEOUT_S
        )
        peers: list[socket.socket] = []

        def answer() -> None:
            head, _, body = peers[-1].recv(65536).partition(b"\r\n\r\n")
            peers[-1].sendall(answer_bytes(200, Request(head, body, 0, 0).order()))

        def may_send() -> None:
            peers.append(listener.accept()[0])
            asyncio.get_running_loop().call_soon(answer)

        for _ in range(3):
            # Nothing is accepted for an order on the connection of the one before: that would raise here.
            assert isinstance(await broker.submit(wanted(), may_send), Accepted)
            peers[-1].close()
        await broker.close()


async def test_no_request_goes_out_on_a_connection_that_was_idle_for_long() -> None:
    async with RawServer(answering(200, {})) as server:
        clock = ManualClock()
        client = HttpClient(server.url, {}, clock, timeout_s=TIMEOUT_S, reuse_within_s=0.2)
        await client.request("GET", "/")
        clock.advance(200_000_000)
        await client.request("GET", "/")
        assert server.connections == 1
        clock.advance(200_000_001)
        await client.request("GET", "/")
        assert server.connections == 2
        await client.close()


async def test_what_a_server_sends_unasked_is_not_taken_for_the_next_orders_answer() -> None:
    async def script(server: RawServer, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer_bytes(200, request.order()) * 2)

    async with serving(script) as (_, broker):
        for _ in range(6):
            order = wanted()
            outcome = await broker.submit(order, allowed)
            if isinstance(outcome, Accepted):
                assert outcome.order.client_order_id == order.client_order_id
            else:
                assert isinstance(outcome, Unknown)
                assert "another order" in outcome.why


SAID = {"code": 40310000, "message": "insufficient buying power"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>a proxy's page</html>"),
        (200, b""),
        (200, []),
        (200, {"client_order_id": "one", "symbol": "AAPL", "status": "new"}),
        (200, {"id": "7", "client_order_id": "another", "symbol": "AAPL", "status": "new"}),
        (200, b'{"id": "7", "qty": 1e99999999999999999999}'),
        (200, b"[" * 50_000),
        (302, SAID),
        (400, b"<html>a proxy's page</html>"),
        (403, b""),
        (403, {"message": "Forbidden by policy"}),
        (422, {"message": "no code at all"}),
        (422, {"message": "code is null", "code": None}),
        (404, {"error": "no such route"}),
        (408, SAID),
        (413, b"too large"),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}),
        (425, SAID),
        (499, SAID),
        (500, SAID),
        (502, b"bad gateway"),
        (503, SAID),
        (504, SAID),
    ],
)
async def test_what_is_no_verdict_in_the_brokers_words_is_a_doubt(status: int, body: Any) -> None:
    async with serving(answering(status, body)) as (server, broker):
        assert isinstance(await broker.submit(wanted(), allowed), Unknown)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, SAID, "broker_40310000"),
        (422, {"code": 40010001, "message": "order_id is missing"}, "broker_40010001"),
        (401, {"message": "unauthorized"}, "broker_401"),
        (403, {"message": "forbidden."}, "broker_403"),
    ],
)
async def test_a_no_in_the_brokers_words_is_a_refusal(status: int, body: Any, code: str) -> None:
    async with serving(answering(status, body)) as (_, broker):
        outcome = await broker.submit(wanted(), allowed)
        assert isinstance(outcome, Rejected)
        assert (outcome.by, outcome.reason.code) == ("broker", code)


@pytest.mark.parametrize(
    ("headers", "reset_s"),
    [
        ({"X_RateLimit_Reset": "1785762012", "Date": "Mon, 03 Aug 2026 13:00:00 GMT"}, 12.0),
        ({"X_RateLimit_Reset": "1785761000", "Date": "Mon, 03 Aug 2026 13:00:00 GMT"}, 0.0),
        ({"X_RateLimit_Reset": "soon"}, None),
        ({"X_RateLimit_Reset": "9" * 5000}, None),
        ({}, None),
    ],
)
async def test_a_rate_limit_says_when_it_resets_by_the_brokers_clock(
    headers: dict[str, str], reset_s: float | None
) -> None:
    async with serving(answering(429, {"message": "too many requests"}, **headers)) as (_, broker):
        for call in (broker.submit(wanted(), allowed), broker.cancel("one"), broker.account()):
            with pytest.raises(RateLimited) as caught:
                await call
            assert caught.value.reset_s == reset_s


async def test_an_order_that_does_not_say_when_it_was_submitted_hides_no_page() -> None:
    listed = [
        {"id": at, "client_order_id": f"c{at}", "symbol": "AAPL", "status": "new", "submitted_at": at or None}
        for at in ("2026-01-02T15:04:05Z", "2026-01-02T15:04:06Z", "")
    ]
    async with RawServer(answering(200, listed)) as server:
        broker = AlpacaBroker("key-id", "key-secret", CLOCK, url=server.url, page=3)
        page = await broker.orders_page(OrdersQuery("open"))
        await broker.close()
    assert len(page.orders) == 3
    assert page.next == OrdersQuery("open", time_ns("2026-01-02T15:04:05Z"))
    with pytest.raises(Unreadable, match="submitted"):
        resumes_ns([{"submitted_at": None}, "nothing"])


async def test_questions_say_what_was_wrong_with_an_answer() -> None:
    async with serving(answering(200, {"cash": "NaN"})) as (_, broker):
        with pytest.raises(OutcomeUnknown, match="could not be read"):
            await broker.account()
        with pytest.raises(OutcomeUnknown, match="could not be read"):
            await broker.positions()
        with pytest.raises(OutcomeUnknown, match="could not be read"):
            await broker.orders_page(OrdersQuery("open"))
    async with serving(answering(401, {"message": "unauthorized"})) as (_, broker):
        with pytest.raises(KeysRefused):
            await broker.account()
    async with serving(answering(404, b"<html></html>")) as (_, broker):
        # Only the broker itself can say that it has no such order.
        with pytest.raises(OutcomeUnknown):
            await broker.find("one")


@pytest.mark.parametrize("message", ["no Route matched with those values", "Not Found"])
async def test_a_404_without_alpacas_code_does_not_say_that_there_is_no_order(message: str) -> None:
    """A gateway's 404 would have an order that is at the broker given up as never sent."""
    async with serving(answering(404, {"message": message})) as (_, broker):
        with pytest.raises(BrokerError, match=message):
            await broker.find("bb-alpha-1")
    async with serving(answering(404, {"code": 40410000, "message": "order not found"})) as (_, broker):
        assert await broker.find("bb-alpha-1") is None


async def test_positions_are_signed_and_named_as_orders_name_them() -> None:
    held = [
        {"symbol": "AAPL", "qty": "3", "side": "short", "avg_entry_price": "100.5"},
        {"symbol": "BTCUSD", "qty": "0.25", "side": "long", "avg_entry_price": 50.1, "asset_class": "crypto"},
    ]
    async with serving(answering(200, held)) as (_, broker):
        assert await broker.positions() == [
            BrokerPosition("AAPL", Decimal(-3), Decimal("100.5")),
            BrokerPosition("BTC/USD", Decimal("0.25"), Decimal("50.1")),
        ]


async def test_a_position_that_cannot_be_read_hides_no_other() -> None:
    held = [
        {"symbol": "AAPL", "qty": None, "avg_entry_price": "100.5"},
        {"symbol": "BTCUSD", "qty": "1e9999", "avg_entry_price": "1", "asset_class": "crypto"},
        "nothing that is known",
        {"symbol": "MSFT", "qty": "2", "avg_entry_price": "100"},
    ]
    async with serving(answering(200, held)) as (_, broker):
        *unread, read = await broker.positions()
    assert read == BrokerPosition("MSFT", Decimal(2), Decimal(100))
    assert [(type(one), one.symbol) for one in unread] == [
        (UnreadablePosition, "AAPL"),
        (UnreadablePosition, "BTC/USD"),
        (UnreadablePosition, ""),
    ]
    async with serving(answering(200, {"message": "no list"})) as (_, broker):
        with pytest.raises(BrokerError, match="no list"):
            await broker.positions()


async def test_closing_ends_what_is_under_way_with_a_doubt() -> None:
    async with serving(says_nothing, timeout_s=20) as (server, broker):
        sending = asyncio.create_task(broker.submit(wanted(), allowed))
        await until(lambda: len(server.requests) == 1)
        await broker.close()
        assert isinstance(await sending, Unknown)


async def test_after_closing_nothing_is_sent_any_more() -> None:
    async with serving(takes_orders) as (server, broker):
        await broker.close()
        outcome = await broker.submit(wanted(), allowed)
        assert isinstance(outcome, Rejected)
        assert outcome.reason.code == "broker_unreachable"
        assert server.connections == 0


async def test_keys_go_out_in_headers_and_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(takes_orders) as (server, broker):
        outcome = await broker.submit(wanted(), allowed)
        assert isinstance(outcome, Accepted)
        assert isinstance(outcome.order, BrokerOrder)
        head = server.requests[0].head.lower()
        assert b"apca-api-key-id: key-id\r\n" in head
        assert b"apca-api-secret-key: key-secret\r\n" in head
    for shown in (caplog.text, repr(broker), repr(broker._client)):
        assert "key-secret" not in shown
        assert "key-id" not in shown
