"""The halt state: scopes, holding without an OMS, unknown when lost, believed only while fresh."""

import asyncio
from typing import Any

import pytest
from proxy import Proxy
from waiting import until

from bus import halt
from bus.clock import ManualClock, SystemClock
from bus.codec import Message, MessageCodec
from bus.control_messages import CONTROL_MESSAGES, Halt, ReduceOnly, Resume, Shutdown
from bus.errors import InvalidInput, ReplyLost
from bus.halt_state import HaltState, concerns, scope_of
from bus.streams import CONTROL, HALT

pytestmark = pytest.mark.integration


def halted(scope: str) -> Halt:
    return Halt(scope=scope, reason="a drill", by="me", at_ns=1)


def reduced(scope: str) -> ReduceOnly:
    return ReduceOnly(scope=scope, reason="a drill", by="me", at_ns=2)


def resumed(scope: str) -> Resume:
    return Resume(scope=scope, reason="all well", by="me", at_ns=3)


ORDERS = [
    (account, algorithm, symbol)
    for account in ("paper", "second")
    for algorithm in ("ma-cross", "reversion")
    for symbol in ("AAPL", "BTC/USD")
]


@pytest.mark.parametrize("change", [halted, reduced])
@pytest.mark.parametrize(
    ("scope", "concerned"),
    [
        ("all", lambda account, algorithm, symbol: True),
        ("account:paper", lambda account, algorithm, symbol: account == "paper"),
        ("algorithm:ma-cross", lambda account, algorithm, symbol: algorithm == "ma-cross"),
        ("symbol:BTC/USD", lambda account, algorithm, symbol: symbol == "BTC/USD"),
    ],
)
async def test_a_scope_stops_exactly_what_is_in_it(
    orders_client: Any, scope: str, concerned: Any, change: Any
) -> None:
    await halt.initialise(orders_client, 1)
    state = await halt.change(orders_client, change(scope))
    for order in ORDERS:
        assert state.mode_for(*order) == (change(scope) if concerned(*order) else None)
    state = await halt.change(orders_client, resumed(scope))
    assert state.known
    assert [state.mode_for(*order) for order in ORDERS] == [None] * len(ORDERS)


async def test_the_strictest_holds_and_scopes_are_lifted_one_by_one(orders_client: Any) -> None:
    await halt.initialise(orders_client, 1)
    await halt.change(orders_client, reduced("all"))
    await halt.change(orders_client, halted("symbol:AAPL"))
    state = await halt.change(orders_client, halted("algorithm:ma-cross"))
    assert isinstance(state.mode_for("paper", "reversion", "AAPL"), Halt)
    assert isinstance(state.mode_for("paper", "reversion", "MSFT"), ReduceOnly)
    state = await halt.change(orders_client, resumed("symbol:AAPL"))
    assert isinstance(state.mode_for("paper", "reversion", "AAPL"), ReduceOnly)
    assert isinstance(state.mode_for("paper", "ma-cross", "AAPL"), Halt)
    state = await halt.change(orders_client, resumed("all"))
    assert state.scopes == {}
    assert state.known


async def test_it_holds_with_nobody_listening_and_says_who_and_why(orders_client: Any) -> None:
    await halt.initialise(orders_client, 1)
    await halt.change(orders_client, halted("all"))
    assert await halt.read(orders_client) == HaltState(known=True, scopes={"all": halted("all")})


async def test_what_only_a_named_person_lifts_stays_so_under_another_halt(orders_client: Any) -> None:
    """Whatever the reason says."""
    for name, latched in (("alpha", True), ("beta", False)):
        reason = 'he said "latched":true and "latched":false}'
        first = Halt(scope=f"algorithm:{name}", reason=reason, by="oms", at_ns=1, latched=latched)
        await halt.change(orders_client, first)
        reduced_only = ReduceOnly(scope=f"algorithm:{name}", reason=reason, by="me", at_ns=2)
        state = await halt.change(orders_client, reduced_only)
        assert (state.scopes[reduced_only.scope] == first) == latched
        second = Halt(scope=f"algorithm:{name}", reason=reason, by="me", at_ns=2)
        state = await halt.change(orders_client, second)
        (found,) = (mode for scope, mode in state.scopes.items() if scope == f"algorithm:{name}")
        assert isinstance(found, Halt)
        assert (found.by, found.reason, found.latched) == ("me", reason, latched)


async def test_the_key_and_the_control_entry_change_together(orders_client: Any) -> None:
    """Where the entry cannot be written, the key stays as it was, and the other way round."""
    await halt.initialise(orders_client, 1)
    codec = MessageCodec(CONTROL_MESSAGES)
    for message in (halted("all"), reduced("symbol:AAPL"), resumed("all")):
        await halt.change(orders_client, message)
    told = [codec.decode(fields) for _, fields in await orders_client.xrange(CONTROL)]
    assert told == [halted("all"), reduced("symbol:AAPL"), resumed("all")]
    await orders_client.delete(HALT)
    await orders_client.set(HALT, "not a hash")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await halt.change(orders_client, halted("all"))
    assert await orders_client.xlen(CONTROL) == 3


async def test_a_missing_key_is_unknown_until_initialised(orders_client: Any) -> None:
    assert not (await halt.read(orders_client)).known
    await halt.initialise(orders_client, 1)
    assert (await halt.read(orders_client)) == HaltState(known=True)


async def test_initialising_again_lifts_nothing(orders_client: Any) -> None:
    await halt.initialise(orders_client, 1)
    await halt.change(orders_client, halted("all"))
    await halt.initialise(orders_client, 2)
    assert (await halt.read(orders_client)).scopes == {"all": halted("all")}


async def test_after_a_loss_neither_a_halt_nor_its_resume_makes_the_rest_known(orders_client: Any) -> None:
    """What else was halted before the key was lost, nobody knows: orders stay refused."""
    state = await halt.change(orders_client, halted("symbol:AAPL"))
    assert not state.known
    assert isinstance(state.mode_for("paper", "a", "AAPL"), Halt)
    assert not (await halt.change(orders_client, resumed("symbol:AAPL"))).known
    assert (await halt.change(orders_client, resumed("all"))).known


@pytest.mark.parametrize("value", ["1", "{}", "\xff", '{"type":"Resume"}'])
async def test_what_somebody_wrote_by_hand_is_unknown_and_nothing_crashes(
    orders_client: Any, value: str
) -> None:
    await halt.initialise(orders_client, 1)
    await halt.change(orders_client, halted("symbol:AAPL"))
    await orders_client.hset(HALT, "all", value.encode("latin-1"))
    state = await halt.read(orders_client)
    assert not state.known
    assert list(state.scopes) == ["symbol:AAPL"]


@pytest.mark.parametrize("written", ["BTCUSD", "BTC/USD"])
@pytest.mark.parametrize("asked", ["BTCUSD", "BTC/USD"])
async def test_a_pair_is_one_scope_in_both_spellings(orders_client: Any, written: str, asked: str) -> None:
    """An older version wrote a scope as it was typed, and its halt still stands."""
    await halt.initialise(orders_client, 1)
    state = await halt.change(orders_client, halted(f"symbol:{written}"))
    assert isinstance(state.mode_for("paper", "a", asked), Halt)
    assert state.mode_for("paper", "a", "ETH/USD") is None
    state = await halt.change(orders_client, reduced(f"symbol:{asked}"))
    assert isinstance(state.mode_for("paper", "a", written), ReduceOnly)
    assert len(state.scopes) == 1
    assert (await halt.change(orders_client, resumed(f"symbol:{written}"))).scopes == {}


def test_a_halt_of_a_short_pair_meets_it_in_both_spellings() -> None:
    """OPUSD might be a share: halted is what it may mean."""
    state = HaltState(known=True, scopes={"symbol:OPUSD": halted("symbol:OPUSD")})
    assert isinstance(state.mode_for("paper", "a", "OP/USD"), Halt)
    assert isinstance(state.mode_for("paper", "a", "OPUSD"), Halt)


def test_a_scope_is_named_by_one_thing() -> None:
    assert scope_of() == "all"
    assert scope_of(symbol="BTC/USD") == "symbol:BTC/USD"
    assert scope_of(symbol="BTCUSD") == "symbol:BTC/USD"
    assert scope_of(algorithm="ma-cross") == "algorithm:ma-cross"
    assert scope_of(account="paper") == "account:paper"
    for wrong in ({"symbol": "aapl"}, {"algorithm": "A"}, {"symbol": "A", "account": "paper"}):
        with pytest.raises(InvalidInput):
            scope_of(**wrong)


def test_a_message_concerns_whom_its_scope_names() -> None:
    for scope, concerned in (
        ("all", True),
        ("account:paper", True),
        ("account:second", False),
        ("algorithm:a", True),
        ("algorithm:b", False),
        ("symbol:AAPL", True),
    ):
        assert concerns(scope, "paper", "a") is concerned


async def watched(watch: halt.HaltWatch, told: list[Message] | None = None) -> asyncio.Task[None]:
    task = asyncio.create_task(watch.run(lambda _, message: None if told is None else told.append(message)))
    await until(watch.fresh, "the first read")
    return task


async def end(watch: halt.HaltWatch, task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
    await watch.close()


async def test_a_watch_sees_each_message_once_the_state_includes_it(
    orders_client: Any, orders_url: str
) -> None:
    await halt.initialise(orders_client, 1)
    await halt.change(orders_client, halted("symbol:OLD"))
    watch = halt.HaltWatch(orders_url, SystemClock())
    assert not watch.fresh()
    assert not watch.state.known
    told: list[Message] = []
    states: list[bool] = []
    entry_ids: list[str] = []

    def note(entry_id: str, message: Message) -> None:
        told.append(message)
        entry_ids.append(entry_id)
        states.append("all" in watch.state.scopes)

    task = asyncio.create_task(watch.run(note))
    await until(watch.fresh)
    assert list(watch.state.scopes) == ["symbol:OLD"]
    await halt.change(orders_client, halted("all"))
    await until(lambda: len(told) == 1)
    shutdown = Shutdown(scope="all", reason="over", by="me", at_ns=4)
    kind, version, data = MessageCodec(CONTROL_MESSAGES).encode(shutdown)
    await orders_client.xadd(CONTROL, {"type": kind, "version": version, "data": data})
    await orders_client.xadd(CONTROL, {"type": "Nonsense"})
    await halt.change(orders_client, resumed("all"))
    await until(lambda: len(told) == 3)
    assert told == [halted("all"), shutdown, resumed("all")]
    assert states[0]
    assert watch.state.scopes == {}
    halted_id, shutdown_id, _, resumed_id = [
        id_.decode() for id_, _ in (await orders_client.xrange(CONTROL))[1:]
    ]
    assert entry_ids == [halted_id, shutdown_id, resumed_id]
    await end(watch, task)


async def test_a_watch_on_a_quiet_stream_stays_fresh(orders_client: Any, orders_url: str) -> None:
    await halt.initialise(orders_client, 1)
    watch = halt.HaltWatch(orders_url, SystemClock())
    task = await watched(watch)
    first = watch._read_ns
    await until(lambda: watch._read_ns != first and watch.fresh())
    await end(watch, task)


async def test_a_state_older_than_the_bound_is_not_fresh(orders_client: Any, orders_url: str) -> None:
    clock = ManualClock()
    watch = halt.HaltWatch(orders_url, clock)
    task = await watched(watch)
    task.cancel()
    await asyncio.wait({task})
    clock.advance(500_000_000)
    assert watch.fresh()
    clock.advance(1)
    assert not watch.fresh()
    assert watch.fresh(bound_ms=600)
    await watch.close()


async def test_a_watch_that_cannot_read_goes_stale_and_comes_back(
    orders_client: Any, orders_url: str
) -> None:
    await halt.initialise(orders_client, 1)
    async with Proxy(orders_url) as proxy:
        told: list[Message] = []
        watch = halt.HaltWatch(proxy.url, SystemClock())
        task = await watched(watch, told)
        proxy.refuse()
        await halt.change(orders_client, halted("all"))
        await until(lambda: not watch.fresh(), "the state to grow old")
        proxy.refuse(False)
        await until(watch.fresh)
        assert "all" in watch.state.scopes
        await until(lambda: told == [halted("all")])
        await end(watch, task)


async def test_a_message_is_told_though_the_state_could_not_be_read_right_after_it(
    orders_client: Any, orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await halt.initialise(orders_client, 1)
    told: list[Message] = []
    watch = halt.HaltWatch(orders_url, SystemClock())
    task = await watched(watch, told)
    read, broken = halt.read, []

    async def breaks_once(asked: Any) -> HaltState:
        # The watch's connection breaks between the entry and the state, once.
        state = await read(asked)
        if asked is not orders_client and "all" in state.scopes and not broken:
            broken.append(True)
            raise ReplyLost("broken")
        return state

    monkeypatch.setattr(halt, "read", breaks_once)
    await halt.change(orders_client, halted("all"))
    try:
        await until(lambda: told == [halted("all")], "the halt to be told")
    finally:
        await end(watch, task)
    assert broken


async def test_a_watch_sees_that_the_key_was_lost(orders_client: Any, orders_url: str) -> None:
    await halt.initialise(orders_client, 1)
    watch = halt.HaltWatch(orders_url, SystemClock())
    task = await watched(watch)
    assert watch.state.known
    await orders_client.flushdb()
    await until(lambda: not watch.state.known)
    await end(watch, task)
