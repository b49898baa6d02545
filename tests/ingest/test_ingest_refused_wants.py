"""What is refused is told to its reader in few words, written when it changes, held through reconnects."""

import json
from typing import Any

import pytest
from own_server import own_server
from waiting import until

from bus.clock import SystemClock
from bus.connection import connect
from bus.feed_kinds import STOCKS
from bus.settings import load
from bus.streams import refused_wants
from ingest import refused_wants as telling
from ingest.data_api.request_budget import RequestBudget
from ingest.leased_feed import LeasedFeed
from ingest.refused_wants import RefusedWants, by_reader, for_people
from ingest.settings import IngestSettings
from ingest.streams.stream_reasons import MOST_NAMED
from ingest.wants import RefusedWant, united

LIMIT = "it is beyond the plan's symbol limit (405: symbol limit exceeded)"
KEY = refused_wants("paper", "me", "stocks")


def beyond_the_limit(reader: str, count: int) -> list[RefusedWant]:
    return [
        RefusedWant(reader, f"{channel!r} of S{number:04}", LIMIT)
        for channel in ("trades", "quotes")
        for number in range(count)
    ]


def test_thousands_of_refused_wants_are_one_sentence_for_each_reason() -> None:
    odd = RefusedWant("paper:me", "'odd' of AAPL", "no such channel")
    limit, other = by_reader([*beyond_the_limit("paper:me", 3000), odd])["paper:me"]
    assert limit.startswith("'quotes' of S0000; 'quotes' of S0001; ")
    assert limit.endswith(f"; and 5,980 more: {LIMIT}")
    assert other == "'odd' of AAPL: no such channel"
    assert len(limit) < 1000


@pytest.mark.parametrize(("count", "more"), [(MOST_NAMED, ""), (MOST_NAMED + 1, "and 1 more")])
def test_reasons_and_readers_without_end_are_bounded_too(count: int, more: str) -> None:
    reasons = [RefusedWant("paper:me", "'trades' of A", f"reason {number:04}") for number in range(count)]
    readers = [RefusedWant(f"paper:r{number:04}", "'trades' of A", "no") for number in range(count)]
    for sentences in (by_reader(reasons)["paper:me"], for_people(readers)):
        assert len(sentences) == MOST_NAMED + bool(more)
        assert sentences[-1] == more or not more
    assert for_people(readers)[0] == "paper:r0000 does not get 'trades' of A: no"


def test_what_somebody_wrote_in_the_place_of_a_symbol_is_not_repeated_at_length() -> None:
    (one,) = united({"paper:me": json.dumps({"trades": ["x" * 100_000]}).encode()}).refused
    assert len(one.what) < 100


@pytest.mark.integration
async def test_what_is_refused_is_written_when_it_changes_and_is_lost_with_its_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with own_server() as server:
        client = connect(server.url, name="test")

        async def writes() -> int:
            return int((await client.info("commandstats")).get("cmdstat_set", {"calls": 0})["calls"])

        wants = RefusedWants(client)
        many, few = beyond_the_limit("paper:me", 100), beyond_the_limit("paper:me", 1)
        for _ in range(3):
            await wants.tell({"stocks": many})
        assert await writes() == 1
        assert 0 < await client.pttl(KEY) <= telling.TTL_MS
        await wants.tell({"stocks": few})
        assert json.loads(await client.get(KEY)) == [f"'quotes' of S0000; 'trades' of S0000: {LIMIT}"]
        await client.flushall()
        for _ in range(2):
            await wants.tell({"stocks": few})
        assert await client.exists(KEY)
        server.configure(maxmemory=1)
        await wants.tell({"stocks": many})
        assert wants._not_told.why.startswith("OOM")
        server.configure(maxmemory=0)
        await wants.tell({"stocks": many})
        assert wants._not_told.why == ""
        assert "180 more" in json.loads(await client.get(KEY))[0]
        monkeypatch.setattr(telling, "TTL_MS", 50)
        await wants.tell({"stocks": few})

        async def gone() -> bool:
            await wants.tell({"stocks": []})
            return not await client.exists(KEY)

        await until(gone, "what is not refused any more to be gone")
        await client.aclose()


async def test_a_new_connection_does_not_make_refused_wants_new_ones() -> None:
    settings = load(IngestSettings, alpaca_api_key="k", alpaca_secret_key="s")
    nobody: Any = None
    feed = LeasedFeed(STOCKS, settings, nobody, SystemClock(), RequestBudget(200), holder="me")
    readers = {("trades", symbol): ("paper:me",) for symbol in ("A", "B")}
    state = feed.feed.subscription
    state.want({"trades": frozenset("AB")})
    for at in range(2):
        state.connected()
        assert len(feed.refused(readers)) == 2 * at, "told only once all was asked"
        for minute in (2 * at, 2 * at + 1):
            now_ns = minute * 60_000_000_000
            assert state.next_request(now_ns) is not None
            state.refuse(405, "symbol limit exceeded", now_ns)
        assert len(feed.refused(readers)) == 2
    state.connected()
    assert [one.what for one in feed.refused(readers)] == ["'trades' of A", "'trades' of B"]
    assert len(feed.refused({})) == 0, "whoever does not want it any more is not told"
