"""The drill of killed ingests, as an operator runs it, and how it counts."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from backbone import backbone, environment
from typer.testing import CliRunner
from waiting import until

from bus.connection import Client
from bus.streams import market
from ops.cli import with_commands
from ops.drill import kill_ingest
from ops.drill.ingests import CHANNELS, SYMBOLS
from ops.drill.kill_ingest import WITHIN_S, Outcome, late
from ops.drill.system import DrillFailed, System
from ops.drill.tapes import Tape, differences


@pytest.mark.parametrize(
    ("ids", "beside", "said"),
    [
        ([4, 5, 6], [], []),
        ([4, 6], [5], []),
        ([4, 7], [], ["AAPL: 2 trades are missing, the first is 5"]),
        ([4, 5, 5], [], ["AAPL: 1 trades are there twice, the first is 5"]),
        ([4, 5], [5], ["AAPL: 1 trades are there twice, the first is 5"]),
        ([5, 4], [], ["AAPL: trades are out of order"]),
        ([], [], ["AAPL: no trade at all"]),
    ],
)
def test_what_is_missing_twice_or_out_of_order_is_found(
    ids: list[int], beside: list[int], said: list[str]
) -> None:
    assert list(differences("AAPL", Tape(ids, 0, beside))) == said


def test_what_took_too_long_is_said_and_never_that_all_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    times_s = (0.5, WITHIN_S, 4.25)
    (said,) = late(times_s)
    assert said == "kill 3: live 4.25 s after the connection, not within 3 s"

    async def run(*_: object) -> Outcome:
        return Outcome(times_s, times_s, 0, 0, 10, 1, (said,))

    monkeypatch.setattr(kill_ingest, "run", run)
    told = CliRunner().invoke(with_commands(), ["drill", "kill-ingest"])
    assert told.exit_code == 1
    assert told.stdout.endswith(f"NOT KEPT:\n  {said}\n")
    assert "each once" not in told.stdout


@pytest.mark.parametrize("written", [[], [{b"type": b"GapOpened"}, {b"d": b"{}", b"b": b"1"}]])
async def test_a_standby_that_writes_nothing_live_ends_the_drill(
    written: list[dict[bytes, bytes]], market_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits() -> bool:
        return int((await market_client.info("clients"))["blocked_clients"]) > 0

    stream = market(SYMBOLS[0], CHANNELS[0])
    await market_client.xadd(stream, {"d": "{}"})
    system = cast(System, SimpleNamespace(market=market_client))
    monkeypatch.setattr(kill_ingest, "READY_WITHIN_S", 0.5)
    live = asyncio.create_task(kill_ingest.live_again(system, 0))
    await until(waits)
    for fields in written:
        await market_client.xadd(stream, fields)
    with pytest.raises(DrillFailed, match="no live message"):
        await asyncio.wait_for(live, 5)


@pytest.mark.e2e
def test_a_standby_goes_on_and_every_trade_is_there_once(tmp_path: Path) -> None:
    run = backbone(
        "drill",
        "kill-ingest",
        *("--times", "1", "--rate", "200", "--json"),
        within=environment(tmp_path),
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["differences"] == []
    assert told["trades"] > told["backfilled"] > 0
