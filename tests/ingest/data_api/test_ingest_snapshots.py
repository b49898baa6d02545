"""A price on demand: who is asked for when, what a refused symbol costs the others, what is written."""

import asyncio
import json

import pytest
from data_api import Answer, DataApi
from hypothesis import given
from hypothesis import strategies as st
from ingest_run import running, settings_for
from simulator import Simulator
from waiting import until

from bus.clock import SystemClock
from bus.codec import market_message
from bus.market_batch import MarketBatch
from bus.market_messages import Snapshot
from ingest.buffer import Buffer
from ingest.buffered_item import Item
from ingest.data_api import alpaca_data, alpaca_snapshots, snapshots
from ingest.data_api.request_budget import RequestBudget
from ingest.data_api.snapshots import AGAIN_NS, ASIDE_NS, EVERY_NS, MOST_SYMBOLS, SnapshotState

TRADE = {"t": "2026-01-05T14:30:00.123456789Z", "x": "V", "p": 187.12, "s": 100, "c": ["@"], "i": 7, "z": "C"}
QUOTE = {"t": "2026-01-05T14:30:01Z", "bx": "V", "bp": 187.1, "bs": 1, "ax": "V", "ap": 187.2, "as": 2}
AT_NS = 1767623400123456789


def wanting(*symbols: str) -> SnapshotState:
    """A state that wants these."""
    state = SnapshotState()
    state.want(frozenset(symbols))
    return state


def test_each_symbol_is_asked_for_at_once_and_then_every_so_often() -> None:
    state = wanting("A", "B")
    assert state.due(0) == ["A", "B"]
    state.postpone(["A", "B"], 0)
    assert state.due(EVERY_NS - 1) == []
    state.want(frozenset(("A", "C")))
    assert state.due(1) == ["C"], "what is new is not kept waiting"
    state.postpone(["C"], 1)
    assert state.due(EVERY_NS) == ["A"]
    assert state.due(EVERY_NS + 1) == ["A", "C"]


def test_a_request_is_for_a_bounded_number_and_everybody_gets_a_turn() -> None:
    state = wanting(*(f"S{number:03d}" for number in range(2 * MOST_SYMBOLS + 1)))
    asked: list[str] = []
    for now_ns in range(3):
        due = state.due(now_ns)
        assert len(due) <= MOST_SYMBOLS
        state.postpone(due, now_ns)
        asked += due
    assert len(set(asked)) == len(asked) == 2 * MOST_SYMBOLS + 1


@given(known=st.sets(st.integers(0, 30)), unknown=st.sets(st.integers(31, 40)))
def test_a_symbol_that_is_refused_is_found_and_left_out_and_all_others_are_answered(
    known: set[int], unknown: set[int]
) -> None:
    """Alpaca refuses a whole request for one symbol that it does not know."""
    symbols = {number: f"S{number}" for number in known | unknown}
    refused = {symbols[number] for number in unknown}
    state = wanting(*symbols.values())
    answered, left_out = set(), set()
    for now_ns in range(500):
        due = state.due(now_ns)
        if not due:
            break
        state.postpone(due, now_ns)
        if refused.isdisjoint(due):
            state.batch({symbol: {"latestTrade": TRADE} for symbol in due}, now_ns, "iex")
            answered.update(due)
        elif (one := state.refuse(due, now_ns)) is not None:
            left_out.add(one)
    assert left_out == refused
    assert answered == set(symbols.values()) - refused
    if refused:
        assert refused.isdisjoint(state.due(ASIDE_NS - 1))
        assert refused <= set(state.due(ASIDE_NS + 500))


def test_an_answer_becomes_entries_of_the_symbols_own_streams() -> None:
    state = wanting("AAPL", "MSFT", "SPY", "TSLA")
    answer = {
        "AAPL": {"latestTrade": TRADE, "latestQuote": QUOTE, "minuteBar": {}, "dailyBar": None},
        "MSFT": None,
        "SPY": {"latestTrade": None, "latestQuote": QUOTE},
        "TSLA": {"latestTrade": {**TRADE, "t": "lately"}, "latestQuote": 7},
        "NVDA": {"latestTrade": TRADE},
    }
    batch = state.batch(answer, AT_NS + 5_000_000, "iex")
    assert (batch.streams, batch.feed) == (["md:AAPL:snapshots", "md:SPY:snapshots"], "iex")
    ms, data = batch.values[:2]
    assert ms == (AT_NS + 5_000_000) // 1_000_000
    message = market_message("snapshots", {b"d": data})  # type: ignore[dict-item]
    assert isinstance(message, Snapshot)
    assert message.trade is not None
    assert message.quote is not None
    assert (message.trade.at_ns, message.trade.conditions, message.trade.id) == (AT_NS, ("@",), 7)
    assert (str(message.quote.ask_price), message.quote.at_ns) == ("187.2", 1767623401000000000)


def test_what_is_written_already_is_not_written_again() -> None:
    state = wanting("AAPL")
    answer = {"AAPL": {"latestTrade": TRADE, "latestQuote": QUOTE}}
    assert state.batch(answer, 1, "iex").streams
    assert not state.batch(answer, 2, "iex").streams
    assert state.batch({"AAPL": {"latestTrade": TRADE}}, 3, "iex").streams


class KnowsAapl(DataApi):
    """Once its answers are given, it knows AAPL alone."""

    def next_answer(self, query: dict[str, str]) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        if query["symbols"] != "AAPL":
            return 400, '{"message": "invalid symbol: NOSUCH"}', {}
        return 200, json.dumps({"AAPL": {"latestTrade": TRADE}}), {}


def snapshots_of(feed: str, url: str, buffer: Buffer[Item]) -> alpaca_snapshots.Snapshots:
    """Snapshots of stocks, with a budget that nobody waits for."""
    budget = RequestBudget(100_000)
    return alpaca_snapshots.Snapshots("stocks", feed, url, "key", "secret", buffer, budget, SystemClock())


def test_what_did_not_change_is_written_again_now_and_then_while_it_is_wanted() -> None:
    """It may have been dropped before it was written, or lost by the server since."""
    state, answer = wanting("A"), {"A": {"latestTrade": TRADE, "latestQuote": QUOTE}}

    def written(at_ns: int) -> int:
        return len(state.batch(answer, AT_NS + at_ns, "iex").streams)

    assert [written(at_ns) for at_ns in (0, EVERY_NS, AGAIN_NS - 1, AGAIN_NS, 2 * AGAIN_NS - 1)] == [
        1,
        0,
        0,
        1,
        0,
    ]
    assert written(2 * AGAIN_NS) == 1
    state.want(frozenset())
    assert written(4 * AGAIN_NS) == 0


@pytest.mark.integration
async def test_an_api_in_trouble_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpaca_snapshots, "REQUEST_EVERY_S", 0.001)
    monkeypatch.setattr(alpaca_snapshots, "TROUBLE_S", 0.002)
    monkeypatch.setattr(alpaca_data, "UNTOLD_WAIT_S", 0.002)
    monkeypatch.setattr(snapshots, "EVERY_NS", 1_000_000)
    first = (500, "broken"), (429, "too many requests"), (200, "<html>"), (200, "[]"), (403, "no")
    api = KnowsAapl(*((status, text, {}) for status, text in first))
    buffer: Buffer[Item] = Buffer(1_000_000)
    async with api.serving("/v2/stocks/snapshots") as url:
        asking = snapshots_of("iex", url, buffer)
        asking.want(frozenset(("AAPL", "NOSUCH")))
        task = asyncio.create_task(asking.run())
        batch = await asyncio.wait_for(buffer.take(), 10)
    assert isinstance(batch, MarketBatch)
    assert (batch.streams, batch.feed) == (["md:AAPL:snapshots"], "iex")
    assert [asked["symbols"] for asked in api.asked[:6]] == ["AAPL,NOSUCH"] * 6
    await until(lambda: "does not answer" in asking.trouble, "the trouble to be noticed")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_what_the_test_stream_plays_is_not_asked_for() -> None:
    asking = snapshots_of("test", "http://x", Buffer(1))
    asking.want(frozenset(("FAKEPACA",)))
    assert asking.state.due(10**18) == []


@pytest.mark.integration
async def test_snapshots_of_what_is_wanted_are_written_beside_the_streams(
    md_url: str, orders_url: str
) -> None:
    """A market in which nothing happens while we listen; one symbol does not exist."""
    with Simulator.start("--rate", "0.01", "--symbols", "AAPL,MSFT,BTC/USD") as simulator:
        wants = ["AAPL", "BTC/USD", "NOSUCH"]
        async with (
            running(settings_for(simulator, md_url, orders_url)) as run,
            run.wanting("reader", snapshots=wants),
        ):

            async def written() -> bool:
                return all([await run.market.xlen(f"md:{symbol}:snapshots") for symbol in wants[:2]])

            await until(written, "both snapshots")
            ((_, fields),) = await run.market.xrange("md:AAPL:snapshots")
            assert fields[b"feed"] == b"iex"
            message = json.loads(fields[b"d"])
            assert message["S"] == message["trade"]["S"] == message["quote"]["S"] == "AAPL"
            assert 0 < message["trade"]["t"] <= int(fields[b"r"])
            assert run.subscribed() == {}
            assert not await run.market.exists("md:MSFT:snapshots", "md:NOSUCH:snapshots", "md:AAPL:trades")
            assert run.details.refused_wants == ()
