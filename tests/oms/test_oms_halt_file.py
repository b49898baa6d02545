"""The halt file and the OMS that shares it: united with the halt key, at the start and while it runs."""

import time
from pathlib import Path

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, Trader, market_order, running, trading
from waiting import until

from bus import halt, halt_file
from bus.connection import connect
from bus.control_messages import Halt, Resume

pytestmark = pytest.mark.integration


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "halts.json"


def halted(file: Path, scope: str = "all") -> None:
    halt_file.write_halt(file, Halt(scope=scope, reason="by hand", by="mia", at_ns=time.time_ns()))


def write(file: Path, text: str) -> None:
    file.write_text(text)


def is_there(file: Path) -> bool:
    return file.exists()


async def refused(algo: Trader, number: int) -> str:
    """Why an order of this algorithm is refused."""
    told = await algo.told(await algo.order(number, market_order("10")), "OrderRefused")
    return str(told.reasons[0].message)


@pytest.mark.parametrize("scope", ["all", f"account:{ACCOUNT}", "algorithm:alpha", "symbol:AAPL"])
async def test_a_written_halt_holds_from_the_start_although_the_server_lost_everything(
    md_url: str, orders_url: str, file: Path, scope: str
) -> None:
    halted(file, scope)
    async with running(md_url, orders_url, halt_file=file) as oms, trading(orders_url) as algo:
        assert "by hand" in await refused(algo, 1)
        assert oms.broker.orders == {}
        # Algorithms and status hear of it by the key.
        await until(lambda: scope in oms.oms.halts.state.scopes, "the halt in the key")
        assert oms.oms.service.details.halt_file.scopes == {scope: "by hand (by mia)"}


async def test_a_written_halt_takes_hold_while_the_oms_runs_and_a_resume_anywhere_lifts_both(
    md_url: str, orders_url: str, file: Path
) -> None:
    async with running(md_url, orders_url, halt_file=file) as oms, trading(orders_url) as algo:
        await algo.told(await algo.order(1, market_order("10")), "OrderSent")
        halted(file)
        await until(lambda: "all" in oms.oms.halt_file.state.scopes, "the halt to be seen")
        assert "by hand" in await refused(algo, 2)
        await until(lambda: "all" in oms.oms.halts.state.scopes, "the halt in the key")
        # The command ran on another machine, where there is no such file.
        await oms.resume()
        await until(lambda: not is_there(file), "the halt to be lifted")
        await algo.told(await algo.order(3, market_order("10")), "OrderSent")
        states = [
            sorted(event.scopes) for event in await oms.journal() if type(event).__name__ == "HaltsRead"
        ]
        assert states == [[], ["all"], []]


async def test_a_file_that_cannot_be_read_halts_everything_until_all_is_resumed(
    md_url: str, orders_url: str, file: Path
) -> None:
    async with running(md_url, orders_url, halt_file=file) as oms, trading(orders_url) as algo:
        write(file, "HALT\n")
        await until(lambda: "all" in oms.oms.halt_file.state.scopes, "the file to be seen")
        assert f"the halt file {file} cannot be read" in await refused(algo, 1)
        await until(lambda: "all" in oms.oms.halts.state.scopes, "the halt in the key")
        await oms.resume("symbol:MSFT")
        assert is_there(file)
        await oms.resume()
        await until(lambda: not is_there(file), "the file to be gone")
        await algo.told(await algo.order(2, market_order("10")), "OrderSent")


async def test_a_halt_of_its_own_is_written_down_and_outlives_all_data(
    md_url: str, orders_url: str, file: Path
) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker, halt_file=file) as oms:
        await oms.broker_message(b"{")
        await until(lambda: f"account:{ACCOUNT}" in oms.oms.halts.state.scopes, "the account's halt")
    client, market = connect(orders_url, name="wipe"), connect(md_url, name="wipe")
    await client.flushall()
    await market.flushall()
    await market.aclose()
    async with running(md_url, orders_url, broker, halt_file=file) as oms, trading(orders_url) as algo:
        assert "cannot be read" in await refused(algo, 1)
        before = Resume(scope="all", reason="old", by="mia", at_ns=1)
        await halt.change(client, before)
        await until(lambda: not oms.oms.halts.state.scopes, "the key to be empty")
        # Given before the halt was written, it did not mean it.
        assert "cannot be read" in await refused(algo, 2)
    await client.aclose()
