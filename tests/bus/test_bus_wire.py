"""The hot-path connection: addresses, log-in, breaks with commands in flight, silence, backpressure."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from own_server import OwnServer, own_server
from proxy import Proxy
from waiting import until

import bus.wire
from bus.errors import InvalidInput, ReplyLost, ServerRefused, ServerUnreachable
from bus.link import Link
from bus.wire import Wire, pack

pytestmark = pytest.mark.integration


@pytest.fixture
async def proxy(orders_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(orders_url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def guarded() -> AsyncIterator[OwnServer]:
    """A server with a password and a user of its own."""
    with own_server() as server:
        with redis.Redis.from_url(server.url) as client:
            client.acl_setuser(
                "reader", enabled=True, passwords=["+s3cret word"], commands=["+@all"], keys=["*"]
            )
        server.configure(requirepass="open:sesame")
        yield server


async def test_it_speaks_over_a_unix_socket_and_tcp(servers, orders_url: str) -> None:
    for url in (orders_url, servers[1].tcp_url):
        wire = await Wire.open(url, name="test")
        assert await wire.call("SET", "key", b"\x00value\r\n") == b"OK"
        assert await wire.call("GET", "key") == b"\x00value\r\n"
        assert await wire.call("INCRBY", "n", 5) == 5
        assert await wire.call("GET", "nothing") is None
        assert wire.connected
        assert "0 awaiting replies" in repr(wire)
        await wire.call("DEL", "n")
        await wire.close()
        assert not wire.connected


async def test_the_connection_carries_its_name_and_its_database(orders_url: str) -> None:
    wire = await Wire.open(f"{orders_url}?db=3", name="named")
    await wire.call("SET", "where", "three")
    clients = (await wire.call("CLIENT", "LIST")).decode()
    assert "name=named" in clients
    await wire.close()
    other = await Wire.open(orders_url, name="other")
    assert await other.call("GET", "where") is None
    await other.close()


@pytest.mark.parametrize(
    "user", [":open%3Asesame@", "default:open%3Asesame@", "reader:s3cret%20word@"], ids=str
)
async def test_right_passwords_are_let_in(guarded: OwnServer, user: str) -> None:
    wire = await Wire.open(f"redis://{user}127.0.0.1:{guarded.port}/0", name="test")
    assert await wire.call("PING") == b"PONG"
    await wire.close()


async def test_a_password_may_stand_in_the_options_of_a_socket_address(guarded: OwnServer) -> None:
    wire = await Wire.open(f"{guarded.url}?username=reader&password=s3cret%20word", name="test")
    assert await wire.call("PING") == b"PONG"
    await wire.close()


@pytest.mark.parametrize("user", ["", ":wr0ng@", "reader:wr0ng@", "nobody:wr0ng@"], ids=str)
async def test_a_wrong_or_missing_password_is_bad_input_and_not_repeated(
    guarded: OwnServer, user: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        await Wire.open(f"redis://{user}127.0.0.1:{guarded.port}/0", name="test")
    assert f"127.0.0.1:{guarded.port}" in str(raised.value)
    assert "wr0ng" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/0", "127.0.0.1:6379", "redis://127.0.0.1:port/0"])
async def test_an_impossible_address_is_bad_input(url: str) -> None:
    with pytest.raises(InvalidInput, match="server address"):
        await Wire.open(url, name="test")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nonexistent/server.sock"])
async def test_nobody_listening_is_unreachable(url: str) -> None:
    with pytest.raises(ServerUnreachable, match="no server answers"):
        await Wire.open(url, name="test")


async def test_a_connection_that_is_closed_at_once_is_unreachable(proxy: Proxy) -> None:
    proxy.refuse()
    with pytest.raises(ServerUnreachable):
        await Wire.open(proxy.url, name="test")


async def test_a_cut_fails_each_command_in_flight_and_sends_none_again(proxy: Proxy, orders_url: str) -> None:
    wire = await Wire.open(proxy.url, name="test")
    proxy.stall()
    sent = [wire.send(pack("RPUSH", "list", number)) for number in range(20)]
    direct = await Wire.open(orders_url, name="direct")

    async def carried_out() -> bool:
        return await direct.call("LLEN", "list") == 20

    await until(carried_out, "the commands to reach the server")
    proxy.cut()
    for one in sent:
        with pytest.raises(ReplyLost):
            await one
    assert not wire.connected
    with pytest.raises(ServerUnreachable, match="nothing was sent"):
        wire.send(pack("PING"))
    assert await direct.call("LLEN", "list") == 20
    await direct.close()
    await wire.close()


async def test_a_break_between_the_replies_of_a_batch_loses_the_batch(proxy: Proxy) -> None:
    wire = await Wire.open(proxy.url, name="test")
    proxy.lose_reply(b"second")
    sent = wire.send(pack("SET", "first", 1) + pack("SET", "second", 2), replies=2)
    with pytest.raises(ReplyLost):
        await sent


async def test_errors_come_as_values_to_batches_and_raised_to_calls(orders_url: str) -> None:
    wire = await Wire.open(orders_url, name="test")
    replies = await wire.send(pack("SET", "text", "x") + pack("INCR", "text") + pack("PING"), replies=3)
    assert replies[0] == b"OK"
    assert isinstance(replies[1], Exception)
    assert replies[2] == b"PONG"
    with pytest.raises(ServerRefused, match="not an integer"):
        await wire.call("INCR", "text")
    await wire.close()


async def test_a_pipeline_of_thousands_is_answered_in_order(orders_url: str) -> None:
    wire = await Wire.open(orders_url, name="test")
    singles = [wire.send(pack("ECHO", number)) for number in range(5000)]
    batch = wire.send(b"".join(pack("ECHO", number) for number in range(5000)), replies=5000)
    assert [(await one)[0] for one in singles] == [b"%d" % number for number in range(5000)]
    assert await batch == [b"%d" % number for number in range(5000)]
    large = b"x" * 5_000_000
    assert await wire.call("ECHO", large) == large
    await wire.close()


async def test_a_cancelled_wait_leaves_the_replies_in_order(orders_url: str) -> None:
    wire = await Wire.open(orders_url, name="test")
    blocked = asyncio.create_task(wire.call("BLPOP", "empty", "0.2"))
    await until(lambda: "1 awaiting replies" in repr(wire))
    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked
    behind = [wire.send(pack("ECHO", number)) for number in range(10)]
    await wire.send(pack("PING"))
    assert [(await one)[0] for one in behind] == [b"%d" % number for number in range(10)]
    await wire.close()


async def test_what_was_cancelled_can_be_awaited_again(orders_url: str) -> None:
    wire = await Wire.open(orders_url, name="test")
    sent = wire.send(pack("BLPOP", "queue", 5))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_replies(sent), 0.02)
    other = await Wire.open(orders_url, name="other")
    await other.call("RPUSH", "queue", "late")
    assert await sent == [[b"queue", b"late"]]
    assert await sent == [[b"queue", b"late"]]
    await wire.close()
    await other.close()


async def _replies(sent: bus.wire.Sent) -> list[object]:
    return await sent


async def test_a_writer_waits_while_the_server_does_not_read() -> None:
    with own_server() as server:
        wire = await Wire.open(server.url, name="test")
        server.pause()
        sent = [wire.send(pack("ECHO", b"x" * 1_000_000)) for _ in range(4)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.drained(), 0.05)
        server.go_on()
        await asyncio.wait_for(wire.drained(), 10)
        for one in sent:
            assert len((await one)[0]) == 1_000_000
        await wire.close()


async def test_closing_does_not_wait_for_a_server_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus.wire, "CLOSE_TIMEOUT_S", 0.1)
    with own_server() as server:
        wire = await Wire.open(server.url, name="test")
        server.pause()
        sent = wire.send(pack("ECHO", b"x" * 4_000_000))
        await asyncio.wait_for(wire.close(), 5)
        with pytest.raises(ReplyLost):
            await sent


async def test_a_server_that_hangs_is_given_up(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus.wire, "REPLY_TIMEOUT_S", 0.2)
    wire = await Wire.open(proxy.url, name="test")
    proxy.stall()
    with pytest.raises(ReplyLost, match="did not answer for"):
        await asyncio.wait_for(wire.call("PING"), 5)
    assert not wire.connected


async def test_an_idle_connection_is_not_taken_for_a_hung_server(
    orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus.wire, "REPLY_TIMEOUT_S", 0.05)
    wire = await Wire.open(orders_url, name="test")
    await asyncio.sleep(0.3)
    assert await wire.call("PING") == b"PONG"
    await wire.close()


async def test_a_server_that_is_loading_is_waited_for() -> None:
    """It answers CLIENT SETNAME all the while, and refuses what matters."""
    answers = {b"PING": b"-LOADING server is loading the dataset in memory\r\n"}
    loading = True
    turned_away: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            word = next((word for word in answers if word in data), None)
            if word and loading:
                turned_away.append(word)
            writer.write(answers[word] if word and loading else b"+OK\r\n")
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
    try:
        with pytest.raises(ServerUnreachable, match="LOADING"):
            await Wire.open(url, name="test")
        link = Link(url, name="test")
        opening = asyncio.create_task(link.opened())
        turned_away.clear()
        await until(lambda: len(turned_away) > 0, "the link to wait")
        loading = False
        assert (await asyncio.wait_for(opening, 10)).connected
        await link.close()
    finally:
        listener.close()
        await listener.wait_closed()


async def test_a_full_server_is_waited_for() -> None:
    with own_server() as server:
        server.configure(maxclients=1)
        first = await Wire.open(server.url, name="first")
        with pytest.raises(ServerUnreachable):
            await Wire.open(server.url, name="second")
        await first.close()

        async def let_in() -> bool:
            try:
                await (await Wire.open(server.url, name="second")).close()
            except ServerUnreachable:
                return False
            return True

        await until(let_in)


async def test_who_does_not_speak_the_protocol_is_unreachable() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        with pytest.raises(ServerUnreachable, match="protocol"):
            await Wire.open(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0", name="test")
    finally:
        listener.close()
        await listener.wait_closed()


async def test_a_link_opens_again_and_ends_what_the_old_connection_left(
    proxy: Proxy, orders_url: str
) -> None:
    """The server did not see the break: it still blocks for a connection that nobody reads."""
    link = Link(proxy.url, name="test")
    wire = await link.opened()
    number = await wire.call("CLIENT", "ID")
    wire.send(pack("BLPOP", "queue", 0))
    proxy.cut_unnoticed()
    await until(lambda: not wire.connected)
    again = await link.opened()
    assert again is not wire
    clients = (await again.call("CLIENT", "LIST")).decode()
    assert f"id={number} " not in clients
    await link.close()


async def test_a_server_that_ends_each_connection_is_not_called_in_a_loop() -> None:
    """It lets us in and breaks at the first command: each caller asks again at once."""
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while (data := await reader.read(65536)) and b"XLEN" not in data:
            writer.write(b"+OK\r\n")
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    link = Link(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0", name="test")

    async def ask_for_ever() -> None:
        while True:
            try:
                await (await link.opened()).call("XLEN", "s")
            except ReplyLost:
                continue

    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask_for_ever(), 2)
        # 10, 20, ... 100 ms, each shortened by up to a half, so 50 ms is the shortest of the long ones.
        assert 4 <= opened <= 4 + 2 / 0.05
    finally:
        await link.close()
        listener.close()
        await listener.wait_closed()


async def test_a_link_does_not_end_others_after_a_restart_of_the_server() -> None:
    """Connections are numbered anew in each run: the old number may be somebody else's now."""
    with own_server() as server:
        link = Link(server.url, name="test")
        wire = await link.opened()
        number = await wire.call("CLIENT", "ID")
        server.kill()
        server.start_again()
        others = [await Wire.open(server.url, name="other") for _ in range(number + 2)]
        await link.opened()
        for other in others:
            assert await other.call("PING") == b"PONG"
            await other.close()
        await link.close()


async def test_the_representation_reads_as_a_sentence_without_the_password(guarded: OwnServer) -> None:
    wire = await Wire.open(f"redis://:open%3Asesame@127.0.0.1:{guarded.port}/0", name="test")
    assert repr(wire) == f"connected to redis://127.0.0.1:{guarded.port}/0, 0 awaiting replies"
    await wire.close()
