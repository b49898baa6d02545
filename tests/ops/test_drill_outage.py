"""The drill of an outage, as an operator runs it."""

import json
from pathlib import Path

import pytest
from backbone import backbone, environment

from ops.drill.outage import WITHIN_S, not_kept


@pytest.mark.parametrize(
    ("caught_up_s", "deaths", "backfilled", "said"),
    [
        ([1, WITHIN_S], 0, 0, []),
        ([1, WITHIN_S + 1], 0, 0, ["outage 2: all was written 16.0 s after it, not within 15 s"]),
        ([1], 1, 7, []),
        ([1], 0, 7, ["7 trades came from history, though ingest did not die"]),
    ],
)
def test_what_took_too_long_or_came_from_history_is_said(
    caught_up_s: list[float], deaths: int, backfilled: int, said: list[str]
) -> None:
    assert list(not_kept(caught_up_s, deaths, backfilled)) == said


@pytest.mark.e2e
def test_an_outage_loses_nothing_and_needs_no_history(tmp_path: Path) -> None:
    run = backbone(
        "drill",
        "outage",
        *("--seconds", "2", "--rate", "200", "--json"),
        within=environment(tmp_path),
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["differences"] == []
    assert told["trades"] > 0
    assert (told["backfilled"], told["dropped"]) == (0, 0)
    assert told["most_on_disk"] > 0
