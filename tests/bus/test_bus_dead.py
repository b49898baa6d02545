"""B3: poison ends in `dead`, can be looked at, and is put back; what cannot be put back says why."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bus.connection import connect
from bus.consume import GroupReader
from bus.dead_letter import NEVER_AN_ENTRY, dead_letter_fields
from bus.dead_letters import dead_letter, dead_letters, put_back, write_dead_letter
from bus.delivery import Delivery
from bus.errors import InvalidInput, ServerRefused, Unreadable

pytestmark = pytest.mark.integration

GROUP = "consumer"
POISON = b"\xff\xfe poison"
ORDERS = "orders:{paper}:dead"


@pytest.fixture
async def reader(orders_url: str) -> AsyncIterator[GroupReader]:
    reader = GroupReader(orders_url, ["s"], GROUP, start="0", block_ms=10)
    await reader.open()
    # The first read asks for what was pending before.
    assert await reader.deliveries() == []
    yield reader
    await reader.close()


async def test_b3_what_was_kept_is_put_back_byte_for_byte_and_comes_again(
    orders_client: Any, reader: GroupReader
) -> None:
    fields = {b"v": POISON, b"\xf0name": b"\x00"}
    await orders_client.xadd("s", fields)
    (delivery,) = await reader.deliveries()
    await write_dead_letter(orders_client, delivery, RuntimeError("it does not go down"), by="eater")
    reader.acknowledge(delivery)
    (letter,) = await dead_letters(orders_client)
    assert letter == await dead_letter(orders_client, letter.id)
    assert (letter.stream, letter.entry_id, letter.by) == ("s", delivery.id, "eater")
    assert letter.error == "RuntimeError: it does not go down"
    assert letter.payload == {"v": "\\xff\\xfe poison", "\\xf0name": "\x00"}
    new_id = await put_back(orders_client, letter.id)
    assert await dead_letters(orders_client) == []
    assert await orders_client.xrange("s", new_id, new_id) == [(new_id.encode(), fields)]
    (again,) = await reader.deliveries()
    assert again.fields == fields
    assert not again.redelivered


async def test_b3_where_dead_cannot_be_written_that_is_raised(orders_client: Any) -> None:
    await orders_client.set("dead", "in the way")
    with pytest.raises(ServerRefused, match="WRONGTYPE"):
        await write_dead_letter(orders_client, Delivery("s", "1-1", {b"v": b"1"}), "odd", by="eater")


async def test_b3_a_trimmed_entry_is_kept_and_cannot_be_put_back(
    orders_client: Any, orders_url: str, reader: GroupReader
) -> None:
    await orders_client.xadd("s", {"v": b"a"})
    await reader.deliveries()
    await reader.close()
    await orders_client.xtrim("s", maxlen=0)
    again = GroupReader(orders_url, ["s"], GROUP, start="0", block_ms=10)
    await again.open()
    (delivery,) = await again.deliveries()
    assert delivery.trimmed
    await write_dead_letter(orders_client, delivery, "trimmed", by="eater")
    (letter,) = await dead_letters(orders_client)
    with pytest.raises(InvalidInput, match=f"{letter.id} cannot be put back: its content was trimmed"):
        await put_back(orders_client, letter.id)
    await again.close()


async def test_b3_what_never_was_an_entry_is_put_nowhere(orders_client: Any) -> None:
    fields = dead_letter_fields(
        stream="feed:iex",
        entry_id="1700000000000000000",
        fields={b"d": POISON},
        error="not msgpack",
        by="ingest",
        why_not_put_back=NEVER_AN_ENTRY,
    )
    id_ = (await orders_client.xadd("dead", fields)).decode()
    with pytest.raises(InvalidInput, match="cannot be put back: it never was an entry of a stream"):
        await put_back(orders_client, id_)
    assert await orders_client.exists("feed:iex") == 0
    assert await orders_client.xlen("dead") == 1


async def test_b3_putting_back_what_is_not_there_names_it(orders_client: Any) -> None:
    with pytest.raises(InvalidInput, match="dead has no entry 1-1"):
        await put_back(orders_client, "1-1")
    with pytest.raises(InvalidInput, match="dead has no entry 1-1"):
        await dead_letter(orders_client, "1-1")


async def test_b3_a_stream_of_the_other_server_is_put_back_there(
    orders_client: Any, orders_url: str, md_url: str
) -> None:
    market = connect(md_url, name="market")
    delivery = Delivery("md:AAPL:trades", "1-1", {b"d": b"{}", b"r": b"1"})
    await write_dead_letter(orders_client, delivery, ValueError("no trade"), by="algo-a")
    (letter,) = await dead_letters(orders_client)
    await put_back(orders_client, letter.id, server=market)
    assert [fields for _, fields in await market.xrange("md:AAPL:trades")] == [delivery.fields]
    assert await orders_client.exists("md:AAPL:trades") == 0
    assert await dead_letters(orders_client) == []
    await market.aclose()


async def test_b3_order_traffic_has_a_place_of_its_own(orders_client: Any) -> None:
    await write_dead_letter(
        orders_client, Delivery("s", "1-1", {b"v": b"1"}), ValueError("x"), by="oms", into=ORDERS
    )
    assert await dead_letters(orders_client) == []
    (letter,) = await dead_letters(orders_client, kept_in=ORDERS)
    await put_back(orders_client, letter.id, kept_in=ORDERS)
    assert await dead_letters(orders_client, kept_in=ORDERS) == []
    assert await orders_client.xlen("s") == 1


async def test_b3_an_entry_of_another_shape_is_shown_and_named_not_crashed_on(orders_client: Any) -> None:
    id_ = (await orders_client.xadd("dead", {"stream": "s", "payload": b"\xff"})).decode()
    (letter,) = await dead_letters(orders_client)
    assert letter.payload == {"stream": "s", "payload": "\\xff"}
    with pytest.raises(InvalidInput, match=f"dead entry {id_} cannot be put back: it is not written as"):
        await put_back(orders_client, id_)
    assert await orders_client.xlen("dead") == 1


async def test_a_letter_whose_reply_was_lost_is_not_written_again(orders_client: Any) -> None:
    delivery = Delivery("md:AAPL:trades", "1-1", {b"d": b"\xff"})
    for by, unless_kept in (("algo-a", False), ("algo-a", True), ("algo-b", True)):
        await write_dead_letter(
            orders_client, delivery, Unreadable("no trade"), by=by, unless_kept=unless_kept
        )
    assert [one.by for one in await dead_letters(orders_client)] == ["algo-b", "algo-a"]
