"""An algorithm hears which of its wants ingest does not carry, and its heartbeat says so."""

import asyncio
import json

import pytest
from waiting import until

from algos import State
from algos.registration import Entry, Wants, register
from algos.report import MOST_TOLD, shown_state
from bus.errors import Unreadable
from bus.streams import algorithms, refused_wants

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


@pytest.mark.integration
@pytest.mark.parametrize("text", [b'{"a": 1}', b"[1]", b"\xff", b'["\xff"]', b"["])
async def test_what_is_refused_in_a_shape_of_its_own_is_said_once_and_ends_nobody(
    orders_client, monkeypatch, text
):
    monkeypatch.setattr("algos.registration.WANTS_EVERY_S", 0)
    wants = Wants(orders_client, "paper", "me", {"trades": ["ZZZZ"]})
    key = refused_wants("paper", "me", "stocks")
    await orders_client.set(key, json.dumps(["of ZZZZ"]))
    turns = iter((text, text, text, None, None))

    async def one_turn():
        await wants._hear()
        heard = wants.refused, bool(wants._unheard.why)
        value = next(turns)
        await (orders_client.set(key, value) if value else orders_client.delete(key))
        return heard

    assert await one_turn() == (("of ZZZZ",), False)
    assert [await one_turn() for _ in range(3)] == [(("of ZZZZ",), True)] * 3
    assert await one_turn() == ((), False)


@pytest.mark.integration
async def test_an_entry_in_the_registry_of_another_shape_is_said(orders_client):
    await orders_client.hset(algorithms("paper"), "me", b'{"lineage": 7}')
    with pytest.raises(Unreadable, match="put back what it was"):
        await register(orders_client, "paper", "me", Entry("life", 1))


def test_a_leader_says_what_it_does_not_get():
    assert shown_state(LEADER, None, "") == ("leader",)
    state, reason = shown_state(LEADER, None, "", ["'trades' of ZZZZ: no"])
    assert (state, reason.code) == ("leader", "want_refused")
    assert "'trades' of ZZZZ: no" in reason.sentence
    _, reason = shown_state(LEADER, None, "", [f"<{number}>" for number in range(MOST_TOLD + 2)])
    assert f"<{MOST_TOLD - 1}>" in reason.sentence
    assert f"<{MOST_TOLD}>" not in reason.sentence
    assert "2 more" in reason.sentence
