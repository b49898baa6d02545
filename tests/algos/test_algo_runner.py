"""A runner is given its connections and its clock: what it does with them needs no server."""

import asyncio
from typing import Any

import pytest
from waiting import until

from algos import Algorithm, State, Timer
from algos.algorithm import session_of
from algos.connections import Connections
from algos.inputs import ControlEntry, StateChanged, TimerDue
from algos.runner import Runner, ShutdownLate
from algos.session import Session
from bus import lease as leasing
from bus.clock import ManualClock, SystemClock
from bus.control_messages import Halt
from bus.errors import Fenced, RefusedForNow
from bus.lease_keeper import LeaseKeeper
from bus.service import Service


class FailsOnHalt(Algorithm):
    def on_kill_switch(self, message: object) -> None:
        raise RuntimeError("broken")


class EmptyStreams:
    async def xrange(self, *arguments: object, **options: object) -> list[object]:
        return []


class Lease:
    key, value, token, held, renewal_s = "lease:a", "7:me", 7, True, 60

    async def release(self) -> None:
        self.held = False


async def test_an_instant_comes_once_though_the_clock_is_set_back() -> None:
    """One that came again would ask for no order: its id would be that of the first."""

    class Ticking(Algorithm):
        def prepare(self) -> None:
            self.every("10", "tick")
            self.instants: list[int] = []

        def on_timer(self, timer: Timer) -> None:
            self.instants.append(timer.scheduled_ns // 1_000_000_000)
            self.buy("AAPL", 1)

    algorithm, clock = Ticking(), ManualClock(7_200_000_000_000)
    session = session_of(algorithm, "a", "life")
    session.take(StateChanged(State.LEADER, "7:me", 1))
    runner = made(session, clock, (EmptyStreams(), LeaseKeeper(Lease()), None, None, [], None))
    timing = asyncio.create_task(runner._timers())
    await asyncio.sleep(0)
    clock.advance(10_000_000_000)
    await until(lambda: algorithm.instants == [7210])
    clock.set_back(3_600_000_000_000)
    clock.advance(10_000_000_000)
    await until(lambda: len(algorithm.instants) == 2)
    assert algorithm.instants == [7210, 7220]
    assert len(session.outbox) == 2
    timing.cancel()
    # Ten seconds after it was asked for, by the clock as it is now, the second is too old.
    clock.advance(10_000_000_001)
    (first,) = session.empty_outbox(clock.now_ns(), 10_000_000_000)
    assert first.trigger == "timer tick 7210000000000"
    assert session.dropped_stale == 1


def test_an_instant_that_comes_again_after_a_restart_asks_for_nothing_and_is_counted() -> None:
    class Buys(Algorithm):
        def on_timer(self, timer: Timer) -> None:
            self.buy("AAPL", 1)

    session = session_of(Buys(), "a", "life")
    session.take(StateChanged(State.LEADER, "7:me", 1))
    for _ in range(2):
        session.take(TimerDue(Timer(name="tick", scheduled_ns=50), 50))
    assert len(session.outbox) == 1
    assert session.suppressed == 1


def made(session: Session, clock: ManualClock, connections: Any, grace_s: float = 1) -> Runner:
    return Runner(
        session,
        Connections(*connections),
        Service("algo-a", "paper", clock),
        account="paper",
        symbols=(),
        subscriptions={},
        trigger_max_age_s=10,
        shutdown_grace_s=grace_s,
    )


async def test_an_algorithm_that_fails_while_it_gets_ready_gives_the_lease_back() -> None:
    session = session_of(FailsOnHalt(), "a", "life")

    class Reader:
        async def open(self) -> None:
            session.take(ControlEntry("1-0", 1, Halt(scope="all", reason="r", by="ann", at_ns=1)))

    lease: Any = Lease()
    runner = made(session, ManualClock(1), (EmptyStreams(), LeaseKeeper(lease), None, None, [], Reader()))
    leading = asyncio.create_task(runner._lead())
    await until(lambda: not lease.held, "the lease to be given back")
    assert session.state is State.ABORTED
    assert not leading.done(), "an operator may look at why"
    runner._service.stop("the test is over")
    await leading


async def test_the_lag_of_many_readers_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Gathering(2)

    class Behind:
        trimmed = recreated = 0

        async def lag(self) -> int:
            await together.wait()
            return 3

    monkeypatch.setattr("algos.report.LAG_WITHIN_S", 0.2)
    session, keeper = session_of(Algorithm(), "a", "life"), LeaseKeeper(Lease())  # type: ignore[arg-type]
    readers = [Behind(), Behind()]
    runner = made(session, ManualClock(1), (EmptyStreams(), keeper, None, None, readers, Behind()))
    await runner._report._measure_lag()
    assert runner._report._lag == 6


class Gathering:
    """Lets nobody on before all are there."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._all = asyncio.Event()

    async def wait(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all.set()
        await self._all.wait()


class NeverOpen:
    """A reader whose server is away."""

    async def open(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.integration
async def test_the_lease_is_renewed_while_it_gets_ready_and_one_that_went_to_another_leads_nothing(
    orders_client: Any,
) -> None:
    session = session_of(Algorithm(), "a", "life")
    lease = leasing.Lease(orders_client, "lease:a", "me", ttl_ms=200)
    keeper = LeaseKeeper(lease)
    assert await keeper.take(stopping=asyncio.Event(), tell=lambda reason: None)
    runner = made(session, ManualClock(1), (EmptyStreams(), keeper, None, None, [], NeverOpen()))
    runs_out_ns = lease._valid_until_ns
    leading = asyncio.create_task(runner._lead())
    await until(lambda: SystemClock().monotonic_ns() > runs_out_ns, "the time of the first lease to pass")
    assert lease.held
    await orders_client.set("lease:a", "9:another:x")
    with pytest.raises(Fenced, match="went to another process"):
        await leading
    assert session.state is State.BOOTSTRAP


async def test_it_leads_only_once_the_lease_is_certainly_its_own() -> None:
    class Opens:
        async def open(self) -> None:
            pass

    session, lease = session_of(Algorithm(), "a", "life"), Lease()
    lease.held = False
    keeper: Any = LeaseKeeper(lease)  # type: ignore[arg-type]
    runner = made(session, ManualClock(1), (EmptyStreams(), keeper, None, None, [], Opens()))
    ready = asyncio.create_task(runner._get_ready())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not ready.done()
    lease.held = True
    await ready


async def test_a_stop_while_it_gets_ready_is_heard() -> None:
    session, lease = session_of(Algorithm(), "a", "life"), Lease()
    keeper: Any = LeaseKeeper(lease)  # type: ignore[arg-type]
    runner = made(session, ManualClock(1), (EmptyStreams(), keeper, None, None, [], NeverOpen()))
    leading = asyncio.create_task(runner._lead())
    await asyncio.sleep(0)
    runner._service.stop("the test is over")
    async with asyncio.timeout(5):
        await leading
    assert session.state is State.BOOTSTRAP


@pytest.mark.parametrize("answer", [None, RefusedForNow("OOM command not allowed")])
async def test_a_stop_waits_no_longer_than_its_grace_for_a_server_and_says_what_did_not_leave(
    answer: Exception | None,
) -> None:
    class Away:
        """Answers nothing, or always with the same error."""

        server, away = "redis://orders:6379", str(answer or "")

        async def opened(self) -> None:
            pass

        async def append_now(self, entries: object) -> None:
            if answer is not None:
                raise answer
            await asyncio.Event().wait()

        async def wait_out(self, error: Exception) -> None:
            await asyncio.sleep(0.01)

    class TwoAtOnce(Algorithm):
        def on_timer(self, timer: Timer) -> None:
            self.buy("AAPL", 1)
            self.buy("AAPL", 2)

    session = session_of(TwoAtOnce(), "a", "life")
    session.take(StateChanged(State.LEADER, "7:me", 1))
    session.take(TimerDue(Timer(name="tick", scheduled_ns=1), 1))
    keeper: Any = LeaseKeeper(Lease())  # type: ignore[arg-type]
    runner = made(session, ManualClock(1), (EmptyStreams(), keeper, Away(), None, [], None), grace_s=0.1)
    runner._service.stop("the test is over")
    with pytest.raises(ShutdownLate) as late:
        async with asyncio.timeout(5):
            await runner._shut_down()
    said = str(late.value)
    assert "algorithm a could not say that it stopped: the orders server redis://orders:6379" in said
    assert "of 2 requests it is not known that they left" in said
    assert ("OOM command not allowed" in said) == (answer is not None)
