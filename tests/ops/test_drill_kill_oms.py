"""The drill of a dying OMS, as an operator runs it, and what it goes through."""

import asyncio
import json
from pathlib import Path

import pytest
from backbone import backbone, environment

from ops.drill.kill_oms import rounds


def test_once_through_is_all_that_may_come_together() -> None:
    through = rounds(165, seed=1)
    assert len(set(through)) == 165
    assert {one for one in through if one[0] == "cancel" and one[2] == "before_journal"} == set()
    assert rounds(165, seed=2) != through
    assert sorted(rounds(330, seed=1)) == sorted(through * 2)


@pytest.mark.e2e
async def test_a_killed_oms_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    within = environment(tmp_path)
    run = await asyncio.to_thread(
        backbone, "drill", "kill-oms", "--times", "4", "--seed", "7", "--json", within=within
    )
    told = json.loads(run.stdout)
    assert told["differences"] == []
    assert (told["passed"], told["died"] > 0, told["approved"] > 0) == (True, True, True)
    assert sum(told["ends"].values()) == told["approved"]
