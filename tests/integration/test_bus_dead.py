"""B3: poison messages end in `dead` after a bounded number of tries, can be looked at, and put back."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from waiting import until

import bus.dead
from bus import dead
from bus.connection import connect
from bus.consume import Delivery, GroupReader
from bus.errors import InvalidInput

GROUP = "consumer"
POISON = b"\xff\xfe poison"


@pytest.fixture(autouse=True)
def _no_wait_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus.dead, "RETRY_WAIT_S", 0.001)


@pytest.fixture
async def client(orders_url: str) -> AsyncIterator[Any]:
    client = connect(orders_url, name="test")
    yield client
    await client.aclose()


@pytest.fixture
async def reader(orders_url: str) -> AsyncIterator[GroupReader]:
    reader = GroupReader(orders_url, ["s"], GROUP, start="0", block_ms=10)
    await reader.open()
    # The first read asks for what was pending before.
    assert await reader.deliveries() == []
    yield reader
    await reader.close()


class Handler:
    """Fails on poison for as long as it is told to."""

    def __init__(self) -> None:
        self.handled: list[bytes] = []
        self.tries = 0
        self.failing = True

    async def __call__(self, delivery: Delivery) -> None:
        value = delivery.fields[b"v"]
        if value == POISON and self.failing:
            self.tries += 1
            raise RuntimeError("it does not go down")
        self.handled.append(value)


async def buried(client: Any, count: int = 1) -> bool:
    return bool(await client.xlen("dead") == count)


async def handle_until_buried(reader: GroupReader, handler: Handler, client: Any) -> None:
    async def one_more_round() -> bool:
        await dead.handle_each(reader, handler, client)
        return await buried(client)

    await until(one_more_round, "the poison to be buried")
    await reader.flush()


async def test_b3_poison_ends_in_dead_and_what_is_behind_it_is_handled(
    client: Any, reader: GroupReader
) -> None:
    for value in (b"a", POISON, b"b"):
        await client.xadd("s", {"v": value, b"\xf0name": b"x"})
    handler = Handler()
    await dead.handle_each(reader, handler, client)
    assert handler.handled == [b"a", b"b"]
    await handle_until_buried(reader, handler, client)
    assert handler.tries == dead.MOST_ATTEMPTS
    assert handler.handled == [b"a", b"b"]
    assert (await client.xpending("s", GROUP))["pending"] == 0
    (entry,) = await dead.entries(client)
    assert entry.stream == "s"
    assert entry.error == "RuntimeError: it does not go down"
    assert entry.payload == {"v": "\\xff\\xfe poison", "\\xf0name": "x"}
    assert (await client.xrange("s", entry.entry_id, entry.entry_id))[0][1][b"v"] == POISON


async def test_b3_what_was_buried_is_put_back_byte_for_byte(client: Any, reader: GroupReader) -> None:
    await client.xadd("s", {"v": POISON, b"\xf0name": b"\x00"})
    handler = Handler()
    await handle_until_buried(reader, handler, client)
    (entry,) = await dead.entries(client)
    new_id = await dead.put_back(client, entry.id)
    assert await dead.entries(client) == []
    assert await client.xrange("s", new_id, new_id) == [
        (new_id.encode(), {b"v": POISON, b"\xf0name": b"\x00"})
    ]
    handler.failing = False

    async def handled() -> bool:
        return await dead.handle_each(reader, handler, client) == 1

    await until(handled)
    assert handler.handled == [POISON]


async def test_b3_tries_are_counted_by_the_server_and_survive_a_crash(client: Any, orders_url: str) -> None:
    await client.xadd("s", {"v": POISON})
    handler = Handler()
    for _ in range(dead.MOST_ATTEMPTS):
        assert not await buried(client)
        reader = GroupReader(orders_url, ["s"], GROUP, start="0", block_ms=10)
        await reader.open()
        tries = handler.tries
        while handler.tries == tries:
            await dead.handle_each(reader, handler, client)
        await reader.close()
    assert await buried(client)
    assert handler.tries == dead.MOST_ATTEMPTS


async def test_b3_an_entry_that_recovers_is_handled_once(client: Any, reader: GroupReader) -> None:
    await client.xadd("s", {"v": POISON})
    handler = Handler()
    await dead.handle_each(reader, handler, client)
    handler.failing = False
    assert await dead.handle_each(reader, handler, client) == 1
    await reader.flush()
    assert handler.handled == [POISON]
    assert not await buried(client)
    assert await dead.handle_each(reader, handler, client) == 0


async def test_b3_where_dead_cannot_be_written_nothing_is_acknowledged_or_left_behind(
    client: Any, reader: GroupReader
) -> None:
    for value in (POISON, b"a"):
        await client.xadd("s", {"v": value})
    await client.set("dead", "in the way")
    handler = Handler()
    with pytest.raises(Exception, match="WRONGTYPE"):
        await dead.handle_each(reader, handler, client, most_attempts=1)
    assert handler.handled == []
    await client.delete("dead")
    assert await dead.handle_each(reader, handler, client, most_attempts=1) == 1
    assert handler.handled == [b"a"]
    assert await buried(client)


async def test_b3_a_trimmed_entry_is_buried_unhandled_and_cannot_be_put_back(
    client: Any, orders_url: str, reader: GroupReader
) -> None:
    await client.xadd("s", {"v": b"a"})
    await reader.deliveries()
    await reader.close()
    await client.xtrim("s", maxlen=0)
    again = GroupReader(orders_url, ["s"], GROUP, start="0", block_ms=10)
    await again.open()
    handler = Handler()
    assert await dead.handle_each(again, handler, client) == 0
    assert handler.handled == []
    (entry,) = await dead.entries(client)
    assert "trimmed" in entry.error
    with pytest.raises(InvalidInput, match="nothing to put back"):
        await dead.put_back(client, entry.id)
    await again.close()


async def test_b3_putting_back_what_is_not_there_names_it(client: Any) -> None:
    with pytest.raises(InvalidInput, match="dead has no entry 1-1"):
        await dead.put_back(client, "1-1")


async def test_b3_a_stream_of_the_other_server_is_put_back_there(
    client: Any, orders_url: str, md_url: str
) -> None:
    market = connect(md_url, name="market")
    delivery = Delivery("md:AAPL:trades", "1-1", {b"d": b"{}", b"r": b"1"})
    await dead.bury(client, delivery, ValueError("no trade"))
    (entry,) = await dead.entries(client)
    await dead.put_back(client, entry.id, into=market)
    assert [fields for _, fields in await market.xrange("md:AAPL:trades")] == [delivery.fields]
    assert await client.exists("md:AAPL:trades") == 0
    await market.aclose()


async def test_b3_order_traffic_has_a_place_of_its_own(client: Any) -> None:
    await dead.bury(client, Delivery("s", "1-1", {b"v": b"1"}), ValueError("x"), dead="orders:{paper}:dead")
    assert await dead.entries(client) == []
    assert len(await dead.entries(client, dead="orders:{paper}:dead")) == 1


async def test_b3_an_entry_of_another_shape_is_shown_and_named_not_crashed_on(client: Any) -> None:
    id_ = (await client.xadd("dead", {"stream": "s", "payload": b"\xff"})).decode()
    (entry,) = await dead.entries(client)
    assert entry.payload == {"stream": "s", "payload": "\\xff"}
    with pytest.raises(InvalidInput, match=f"dead entry {id_} does not say where it came from"):
        await dead.put_back(client, id_)
    assert await client.xlen("dead") == 1
