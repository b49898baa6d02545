"""Ingest beside servers that refuse for a while."""

import asyncio
from collections import deque
from typing import Any

import pytest
import redis
from ingest_run import consecutive, running, settings_for
from own_server import own_server
from simulator import Simulator
from waiting import until

from bus import streams
from bus.errors import ReplyLost
from bus.service import Service
from bus.settings import load
from ingest import service
from ingest.frames import Kept
from ingest.settings import IngestSettings

pytestmark = pytest.mark.integration

KEY = streams.wants("paper", "me")
WANTED = b'{"trades": ["AAPL"]}'


async def test_wants_that_nobody_can_renew_are_kept_and_those_that_are_given_up_go(
    md_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WANTS_S", 0.02)
    monkeypatch.setattr(service, "WANTS_KEPT_NS", 300_000_000)
    with own_server() as orders, Simulator.start("--rate", "400", "--symbols", "AAPL") as simulator:
        async with running(settings_for(simulator, md_url, orders.url)) as run:
            await run.orders.set(KEY, WANTED)
            await until(lambda: run.stocks.feed.subscription.acknowledged != {}, "the subscription")
            await asyncio.to_thread(orders.configure, maxmemory=1)
            await run.orders.delete(KEY)
            await until(lambda: run.ingest._wants_kept_until_ns > 0, "ingest to notice")
            read = run.ingest._wants_kept_until_ns
            await until(lambda: run.ingest._wants_kept_until_ns > read + 200_000_000, "many looks")
            assert run.stocks.feed.subscription.wanted == {"trades": frozenset({"AAPL"})}
            await asyncio.to_thread(orders.configure, maxmemory=0)
            # Nobody says it again: it was given up.
            await until(lambda: run.stocks.feed.subscription.wanted == {}, "the want to be given up")
            assert run.stocks.feed.gaps == 0


async def test_frames_wait_for_a_market_server_that_refuses_and_the_heartbeat_says_so(
    orders_url: str,
) -> None:
    with own_server("market") as market, Simulator.start("--rate", "400", "--symbols", "AAPL") as simulator:
        async with running(settings_for(simulator, market.url, orders_url)) as run:
            await run.orders.set(KEY, WANTED)
            await until(lambda: run.stocks.writing.messages_in > 20, "messages")
            await asyncio.to_thread(market.configure, maxmemory=1)

            def told() -> bool:
                feed = run.details.feeds.get("stocks")
                reasons = () if feed is None else feed.reasons
                return [one.code for one in reasons] == ["server_away"] and "OOM" in reasons[0].sentence

            await until(told, "the heartbeat to say so")
            await asyncio.to_thread(market.configure, maxmemory=0)
            await until(lambda: not run.details.feeds["stocks"].reasons, "that it is over")
            consecutive(await run.messages("md:AAPL:trades"))


async def test_wants_count_though_our_user_may_not_ask_for_writes_and_the_heartbeat_says_so(
    md_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WANTS_S", 0.02)
    with (
        own_server() as orders,
        redis.Redis.from_url(orders.url) as admin,
        Simulator.start("--rate", "400", "--symbols", "AAPL") as simulator,
    ):

        def allow(*rules: str) -> None:
            admin.execute_command("ACL", "SETUSER", "ingest", "resetkeys", *rules)

        allow("on", ">x", "+@all", "~wants:*", "~account*", "~refused-wants:*")
        address = orders.tcp_url.replace("redis://", "redis://ingest:x@")
        async with running(settings_for(simulator, md_url, address), confirmed=False) as run:
            assert admin.set(KEY, WANTED)
            await until(lambda: run.stocks.feed.subscription.acknowledged != {}, "the subscription")
            await until(lambda: "SET write-probe" in run.ingest.service.why, "the heartbeat to say so")
            assert run.ingest.service.state == "degraded"
            allow("~account*")
            await until(lambda: "cannot be read" in run.ingest.service.why, "wants that cannot be read")
            assert run.stocks.feed.subscription.acknowledged != {}
            allow("~*")
            await until(lambda: "wants" not in run.ingest.service.why, "that it is over")


class LosesTheFirstReply:
    """The orders server over a connection that breaks once something was written."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.xrevrange = client.xrevrange
        self.writes = 0

    async def xadd(self, *arguments: Any) -> None:
        await self._client.xadd(*arguments)
        self.writes += 1
        if self.writes == 1:
            raise ReplyLost("cut off")


async def test_an_unreadable_message_is_kept_once_though_a_reply_is_lost(
    md_url: str, orders_url: str, orders_client: Any
) -> None:
    settings = load(
        IngestSettings,
        md_redis_url=md_url,
        orders_redis_url=orders_url,
        alpaca_api_key="k",
        alpaca_secret_key="s",
    )
    loses: Any = LosesTheFirstReply(orders_client)
    ingest = service.Ingest(Service("ingest", "paper"), settings, orders_client, loses)
    unreadable = deque([("iex", 1, Kept("odd", b"first")), ("iex", 1, Kept("odd", b"second"))])
    while unreadable:
        await ingest._keep(unreadable)
    letters = [fields[b"payload"] for _, fields in await orders_client.xrange(streams.DEAD)]
    assert letters == [b'{"d":"first"}', b'{"d":"second"}']
