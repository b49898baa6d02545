"""The client's errors, from real servers that are away, full, locked or another's."""

import asyncio
from typing import Any

import pytest
from own_server import own_server
from proxy import Proxy

from bus.connection import connect
from bus.errors import (
    AccessRefused,
    Fenced,
    RefusedForNow,
    ReplyLost,
    ServerAway,
    ServerRefused,
    ServerUnreachable,
)
from bus.lease import FENCE

pytestmark = pytest.mark.integration


async def test_a_server_that_is_not_there_was_sent_nothing() -> None:
    client = connect("unix:///nowhere/at-all.sock", name="test")
    with pytest.raises(ServerUnreachable):
        await client.get("x")
    with pytest.raises(ServerUnreachable):
        await client.pipeline().set("x", 1).execute()
    with pytest.raises(ServerUnreachable):
        await anext(client.scan_iter())
    await client.aclose()


async def test_a_reply_that_did_not_come_leaves_the_outcome_open(orders_url: str, orders_client: Any) -> None:
    async with Proxy(orders_url) as proxy:
        through = connect(proxy.url, name="test")
        proxy.lose_reply(b"XADD")
        with pytest.raises(ReplyLost):
            await through.xadd("s", {"n": 1})
        assert await orders_client.xlen("s") == 1
        assert await through.xlen("s") == 1
        await through.aclose()


async def test_a_cancellation_of_before_a_command_is_not_lost_in_it(orders_client: Any) -> None:
    """As Ctrl-C's that meets a task at work: redis-py dropped it with the reply, and the task went on."""
    steps: list[str] = []

    async def at_work() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        try:
            await orders_client.set("begun", 1)
            steps.append("went on")
        finally:
            await orders_client.set("cleaned up", 1)
            steps.append("cleaned up")

    await orders_client.ping()
    task = asyncio.create_task(at_work())
    await asyncio.wait({task})
    assert task.cancelled()
    assert steps == ["cleaned up"]
    assert await orders_client.mget("begun", "cleaned up") == [None, b"1"]


async def test_the_reply_to_a_canceled_command_is_nobody_elses(orders_url: str) -> None:
    """A pool that took such a connection back would answer each command with the reply to the one before."""
    async with Proxy(orders_url) as proxy:
        client = connect(proxy.url, name="test", max_connections=1)
        await client.set("first", "1")
        await client.set("second", "2")
        for turns in range(20):
            proxy.stall()
            canceled = asyncio.create_task(client.get("first"))
            for _ in range(turns):
                await asyncio.sleep(0)
            canceled.cancel()
            proxy.flow()
            await asyncio.wait({canceled})
            assert canceled.cancelled()
            assert await client.get("second") == b"2"
        await client.aclose()


async def test_a_server_that_went_away_between_two_commands_comes_back() -> None:
    with own_server() as server:
        client = connect(server.url, name="test")
        await client.set("x", 1)
        server.kill()
        with pytest.raises(ServerAway):
            await client.set("x", 2)
        server.start_again()
        assert await client.set("x", 3)
        await client.aclose()


async def test_what_the_server_says_no_to_is_told_apart(orders_client: Any) -> None:
    await orders_client.set("text", "x")
    with pytest.raises(ServerRefused, match=r"^WRONGTYPE"):
        await orders_client.xadd("text", {"a": 1})
    with pytest.raises(ServerRefused, match=r"^WRONGTYPE"):
        await orders_client.pipeline(transaction=False).xadd("text", {"a": 1}).execute()
    with pytest.raises(Fenced, match="not the holder"):
        await orders_client.eval(FENCE, 1, "lease:x", "1:me")
    await orders_client.config_set("maxmemory", 1)
    try:
        for refused in (orders_client.set("y", 1), orders_client.pipeline().set("y", 1).execute()):
            with pytest.raises(RefusedForNow, match=r"^OOM"):
                await refused
    finally:
        await orders_client.config_set("maxmemory", 0)


async def test_a_wrong_password_and_a_missing_right_are_told_apart_from_a_server_that_is_away(
    orders_url: str, orders_client: Any
) -> None:
    await orders_client.execute_command(
        "ACL", "SETUSER", "reader", "on", ">secret-word", "~*", "+@read", "+@connection"
    )
    try:
        wrong = connect(orders_url, name="test", username="reader", password="not-it")
        with pytest.raises(AccessRefused, match=r"^WRONGPASS") as error:
            await wrong.get("x")
        assert not isinstance(error.value, ServerAway)
        assert "not-it" not in repr(error.value)
        await wrong.aclose()
        reader = connect(orders_url, name="test", username="reader", password="secret-word")
        with pytest.raises(AccessRefused, match=r"^NOPERM"):
            await reader.set("x", 1)
        await reader.aclose()
    finally:
        await orders_client.execute_command("ACL", "DELUSER", "reader")
