"""An algorithm hears which of its wants ingest does not carry, and its heartbeat says so."""

import asyncio
import json

import pytest
from waiting import until

from algos import State
from algos.registration import Wants
from algos.report import MOST_TOLD, shown_state
from bus.streams import refused_wants

LEADER = State.LEADER


@pytest.mark.integration
async def test_what_is_refused_is_heard_for_as_long_as_it_is_refused(orders_client, monkeypatch):
    monkeypatch.setattr("algos.registration.WANTS_EVERY_S", 0.05)
    wants = Wants(orders_client, "paper", "me", {"trades": ["ZZZZ"], "bars": ["BTC/USD"]})
    for kind, sentences in {"stocks": ["of ZZZZ", "of all"], "crypto": ["of BTC/USD", "of all"]}.items():
        key = refused_wants("paper", "me", kind)
        await orders_client.set(key, json.dumps(sentences))
        await orders_client.set(refused_wants("paper", "other", kind), json.dumps(["of another's"]))
    leaves = asyncio.Event()
    running = asyncio.create_task(wants.run(lambda: not leaves.is_set()))
    await until(lambda: wants.refused == ("of ZZZZ", "of all", "of BTC/USD"), "what is refused")
    await orders_client.delete(refused_wants("paper", "me", "stocks"))
    await until(lambda: wants.refused == ("of BTC/USD", "of all"), "what is left")
    leaves.set()
    await running


def test_a_leader_says_what_it_does_not_get():
    assert shown_state(LEADER, None, "") == ("leader",)
    state, reason = shown_state(LEADER, None, "", ["'trades' of ZZZZ: no"])
    assert (state, reason.code) == ("leader", "want_refused")
    assert "'trades' of ZZZZ: no" in reason.sentence
    _, reason = shown_state(LEADER, None, "", [f"<{number}>" for number in range(MOST_TOLD + 2)])
    assert f"<{MOST_TOLD - 1}>" in reason.sentence
    assert f"<{MOST_TOLD}>" not in reason.sentence
    assert "2 more" in reason.sentence
