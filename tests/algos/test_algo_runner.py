"""A runner is given its connections and its clock: what it does with them needs no server."""

import asyncio
from typing import Any

from waiting import until

from algos import Algorithm, State, Timer
from algos.algorithm import session_of
from algos.connections import Connections
from algos.inputs import ControlEntry, StateChanged
from algos.runner import Runner
from algos.session import Session
from bus.clock import ManualClock
from bus.control_messages import Halt
from bus.lease_keeper import LeaseKeeper
from bus.service import Service


class FailsOnHalt(Algorithm):
    def on_kill_switch(self, message: object) -> None:
        raise RuntimeError("broken")


class EmptyStreams:
    async def xrange(self, *arguments: object, **options: object) -> list[object]:
        return []


class Lease:
    key, value, token, held = "lease:a", "7:me", 7, True

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


def made(session: Session, clock: ManualClock, connections: Any) -> Runner:
    return Runner(
        session,
        Connections(*connections),
        Service("algo-a", "paper", clock),
        account="paper",
        symbols=(),
        subscriptions={},
        trigger_max_age_s=10,
        shutdown_grace_s=1,
    )


async def test_an_algorithm_that_fails_while_it_gets_ready_gives_the_lease_back() -> None:
    session = session_of(FailsOnHalt(), "a", "life")

    class Reader:
        async def open(self) -> None:
            session.take(ControlEntry("1-0", 1, Halt(scope="all", reason="r", by="ann", at_ns=1)))

    lease: Any = Lease()
    runner = made(session, ManualClock(1), (EmptyStreams(), LeaseKeeper(lease), None, None, [], Reader()))
    runner._service.stop("the test is over")
    await runner._lead()
    assert session.state is State.ABORTED
    assert not lease.held
