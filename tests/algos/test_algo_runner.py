"""A runner is given its connections and its clock: what it does with them needs no server."""

from typing import Any

from algos import Algorithm, State
from algos.algorithm import session_of
from algos.connections import Connections
from algos.inputs import ControlEntry
from algos.runner import Runner
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


async def test_an_algorithm_that_fails_while_it_gets_ready_gives_the_lease_back() -> None:
    session = session_of(FailsOnHalt(), "a", "life")

    class Reader:
        async def open(self) -> None:
            session.take(ControlEntry("1-0", 1, Halt(scope="all", reason="r", by="ann", at_ns=1)))

    client, lease, reader, nothing = EmptyStreams(), Lease(), Reader(), None
    given: Any = (client, LeaseKeeper(lease), nothing, nothing, [], reader)
    service = Service("algo-a", "paper", ManualClock(1))
    runner = Runner(
        session,
        Connections(*given),
        service,
        account="paper",
        symbols=(),
        subscriptions={},
        trigger_max_age_s=10,
        shutdown_grace_s=1,
    )
    service.stop("the test is over")
    await runner._lead()
    assert session.state is State.ABORTED
    assert not lease.held
