"""A halt outlives everything: servers and OMS killed at once and started again."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from backbone import backbone, environment
from oms_processes import price, processes, scene
from oms_run import ACCOUNT, limit_order
from simulator import Simulator
from waiting import until

from bus import embedded, streams

pytestmark = pytest.mark.e2e


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator with an empty account."""
    with Simulator.start("--symbols", "AAPL", "--requests-per-minute", "100000") as running:
        yield running


async def test_after_a_kill_of_everything_it_is_still_halted(simulator: Simulator, home: Path) -> None:
    market, orders = (embedded.start(role, home / role) for role in ("market", "orders"))
    with processes(simulator, market.url, orders.url) as start:
        async with scene(market.url, orders.url) as (_, client):
            first = start("never")
            await until(lambda: client.exists(streams.events(ACCOUNT, "alpha")), "the registration")
        within = environment(home, MD_REDIS_URL=market.url, ORDERS_REDIS_URL=orders.url)
        assert backbone("halt", "--reason", "the worst day", within=within).returncode == 0
        for process in (first, orders.process, market.process):
            process.kill()
            process.wait(10)
        assert first.returncode == -signal.SIGKILL
        market, orders = (embedded.start(role, home / role) for role in ("market", "orders"))
        async with scene(market.url, orders.url) as (algo, client):
            # Those of the dead run out after seconds; taking them away is that, without the wait.
            await client.delete(streams.oms_lease(ACCOUNT))
            start("never")
            await price(market.url)
            refused = await algo.told(await algo.order("again", limit_order("5")), "OrderRefused")
            assert "halted" in {reason.code for reason in refused.reasons}
            assert "the worst day" in str(refused.reasons)
    assert simulator.ledger()["orders"] == []
    market.stop()
    orders.stop()
