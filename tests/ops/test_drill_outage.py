"""The drill of an outage, as an operator runs it."""

import asyncio
import json
from pathlib import Path

import pytest
from backbone import backbone, environment


@pytest.mark.e2e
async def test_an_outage_loses_nothing_and_needs_no_history(tmp_path: Path) -> None:
    run = await asyncio.to_thread(
        backbone,
        "drill",
        "outage",
        *("--seconds", "2", "--rate", "200", "--json"),
        within=environment(tmp_path),
    )
    told = json.loads(run.stdout)
    assert told["differences"] == []
    assert told["trades"] > 0
    assert (told["backfilled"], told["dropped"]) == (0, 0)
    assert told["most_on_disk"] > 0
