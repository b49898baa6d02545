"""`backbone limits` beside an OMS at work, over restarts, and where none is."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from backbone import backbone, environment
from fake_broker import FakeBroker
from oms_run import Running, limit_order, limits_text, market_order, one_by_one, running, starting, trading
from waiting import until

from bus import control
from bus.errors import InvalidInput
from bus.limit_messages import SetLimit
from oms.limits.limits import parse
from ops.limits.words import checked_limit, section_of, value_of

pytestmark = pytest.mark.e2e

LIMITS = limits_text(price_age_seconds=3600)


class Desk:
    """An operator's commands."""

    def __init__(self, within: dict[str, str]) -> None:
        self.within = within

    async def says(self, *words: str, code: int = 0, group: str = "limits") -> str:
        """What a command prints, on stdout or, where it fails, on stderr."""
        told = await asyncio.to_thread(backbone, group, *words, within=self.within)
        assert told.returncode == code, told.stdout + told.stderr
        return told.stderr if code else told.stdout + told.stderr

    async def json(self, *words: str) -> Any:
        """The same as JSON."""
        return json.loads(await self.says(*words, "--json"))


@pytest.fixture
def desk(home: Path, md_url: str, orders_url: str) -> Desk:
    return Desk(environment(home, MD_REDIS_URL=md_url, ORDERS_REDIS_URL=orders_url))


@pytest.fixture
async def oms(md_url: str, orders_url: str) -> AsyncIterator[Running]:
    async with running(md_url, orders_url, limits=parse(LIMITS, "limits")) as run:
        yield run


async def test_a_limit_is_set_while_orders_come_and_one_that_waits_never_leaves(
    oms: Running, desk: Desk, orders_url: str
) -> None:
    async with trading(orders_url) as algo:
        first = await algo.order(1, market_order("20"))
        await algo.told(first, "OrderSent")
        oms.broker.gate.clear()
        waiting = await algo.order(2, limit_order("99", "20"))
        small = await algo.order(3, limit_order("99", "5"))
        await algo.told(small, "OrderApproved")
        said = await desk.says("set", "order_value", "1000", "--algo", "alpha", "--reason", "the news")
        assert said.splitlines() == [
            "[algorithm.alpha] order_value: no limit -> 1000",
            "limits version 2: 1 changed, in force",
        ]
        oms.broker.gate.set()
        refused = await algo.told(waiting, "OrderRefused")
        (reason,) = refused.reasons
        assert (refused.by, reason.code, reason.limit) == ("oms", "order_value", "1000")
        await algo.told(small, "OrderSent")
        assert waiting not in oms.broker.sent
        later = await algo.order(4, market_order("11"))
        refused = await algo.told(later, "OrderRefused")
        assert (refused.by, [one.code for one in refused.reasons]) == ("risk", ["order_value"])
    said = await desk.says("explain", waiting, group="risk")
    assert said.startswith(f"{waiting}: approved at ")
    (line,) = [one for one in said.splitlines() if one.startswith("order_value ")]
    # As it was decided: the limit that refused it came later.
    assert line.split() == ["order_value", "1980", "50000", "passed", "[account]"]
    assert (
        "order_value: the order's value would be 1980; the limit is 1000; limits version 2 came into" in said
    )
    told = json.loads(await desk.says("explain", later, "--json", group="risk"))
    assert told["decision"] == "refused"
    assert [one for one in told["rules"] if one["outcome"] == "refused"] == [
        {"name": "order_value", "whose": "", "limit": "1000", "value": "1100", "used": "",
         "section": "[algorithm.alpha]", "outcome": "refused"}
    ]  # fmt: skip
    assert "no order is known by nonsense" in await desk.says("explain", "nonsense", code=2, group="risk")
    shown = await desk.json("show", "--algo", "alpha", "--symbol", "aapl")
    (row,) = [one for one in shown["limits"] if one["section"] == "algorithm.alpha"]
    assert (row["name"], row["value"], row["from"], row["reason"], row["shadow"]) == (
        "order_value", "1000", "set", "the news", False,
    )  # fmt: skip
    bound = {(one["name"], one["whose"]): one for one in shown["binding"]}
    assert bound["order_value", "one order"]["section"] == "[algorithm.alpha]"
    assert bound["open_orders", "alpha"] | {"section": ""} == {
        "name": "open_orders", "whose": "alpha", "value": "50", "used": "2", "section": "",
    }  # fmt: skip
    assert bound["position_quantity", "account"]["used"] == "25"
    again = ("set", "order_value", "2_000", "--algo", "alpha", "--reason", "x")
    assert "needs --loosen" in await desk.says(*again, code=2)
    told = await desk.json(*again, "--loosen")
    assert (told["limits_version"], told["changes"][0]["value"], told["warnings"]) == (3, "2000", [])
    said = await desk.says("set", "order_value", "9", "--symbol", "applx", "--shadow", "--reason", "x")
    assert "WARNING: nobody wants, holds or orders APPLX now" in said
    explained = await desk.says("explain", "order_value")
    assert "refuses with order_value: one order's value in dollars is above the limit" in explained
    assert "in force: [algorithm.alpha] order_value = 2000 (" in explained
    assert 'in force in shadow: [symbol."APPLX"] order_value = 9 (' in explained


async def test_under_load_nothing_beyond_a_new_limit_is_approved_or_sent_after_it(
    md_url: str, orders_url: str
) -> None:
    wide = limits_text(price_age_seconds=3600, open_orders=1000, orders_per_second=10_000)
    async with (
        running(md_url, orders_url, limits=parse(wide, "x"), oms_requests_per_minute=60_000) as oms,
        trading(orders_url) as algo,
    ):
        sizes = {f"{number}": str(number % 10 + 1) for number in range(200)}
        requests = [algo.request(number, limit_order("50", size)) for number, size in sizes.items()]
        for at in range(0, 200, 20):
            await algo.send(*requests[at : at + 20])
            if at == 100:
                await control.tell(oms.client, _set("order_quantity", "5"))

        async def all_decided() -> bool:
            ended = {"OrderRefused", "OrderSent"}
            kinds = [type(one).__name__ for one in one_by_one(await oms.journal())]
            return sum(kind in ended for kind in kinds) == len(requests)

        await until(all_decided, "every order to be sent or refused")
        journal = one_by_one(await oms.journal())
    kinds = [type(one).__name__ for one in journal]
    (at,) = [number for number, kind in enumerate(kinds) if kind == "LimitsSet"]
    approved = [one for one in journal[at:] if type(one).__name__ == "OrderApproved"]
    assert approved
    assert max(one.terms.quantity for one in approved) == 5
    large = {one.client_order_id for one in requests if one.terms.quantity > 5}
    sent = [one for one in journal if type(one).__name__ == "OrderSent" and one.client_order_id in large]
    assert all(one.sent_ns <= journal[at].at_ns for one in sent)


def _set(name: str, value: str) -> SetLimit:
    return SetLimit(
        account="paper", section="account", name=name, value=value, shadow=False, loosen=False, reason="r",
        by="ann", at_ns=1,
    )  # fmt: skip


async def test_what_was_set_holds_after_a_restart_and_against_a_file_that_changed(
    md_url: str, orders_url: str, desk: Desk, tmp_path: Path
) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker, limits=parse(LIMITS, "x")) as oms:
        await desk.says("set", "order_value", "1000", "--reason", "the news")
        # A whole file: one entry in the journal, and nothing of it where anything is looser.
        plan = tmp_path / "plan.toml"
        plan.write_text(LIMITS.replace("open_orders = 200", "open_orders = 100"))
        said = await desk.says("load", str(plan), "--reason", "the plan", code=2)
        assert "order_value is 1000 and would be 50000: that is looser" in said
        plan.write_text(plan.read_text().replace("order_value = 50_000", "order_value = 900"))
        said = await desk.says("load", str(plan), "--reason", "the plan")
        assert said.splitlines() == [
            "[account] open_orders: 200 -> 100",
            "[account] order_value: 1000 -> 900",
            "limits version 3: 2 changed, in force",
        ]
        kinds = [type(one).__name__ for one in await oms.journal()]
        assert kinds.count("LimitsSet") == 2
    async with running(md_url, orders_url, broker, limits=parse(LIMITS, "x")) as oms:
        limits = oms.oms.engine.state.limits
        assert (limits.version, limits.account.order_value, limits.account.open_orders) == (3, 900, 100)
    other = LIMITS.replace("order_value = 50_000", "order_value = 40_000")
    async with running(md_url, orders_url, broker, limits=parse(other, "x")) as oms:
        assert oms.oms.engine.state.limits.account.order_value == 900
        sentence = "[account] order_value: the file says 40000, it said 50000 when this was set: 900 from"
        assert sentence in await desk.says("show")
        assert sentence in oms.oms.service.details.limits_differ[0]
        said = await desk.says("unset", "order_value", "--reason", "as the file", "--loosen")
        assert said.startswith("[account] order_value: 900 -> 40000\n")
    async with starting(md_url, orders_url, broker, limits=parse(other, "x")) as oms:
        # Also before it is ready: nothing was set that is not known from the journal.
        await oms.ready()
        assert oms.oms.engine.state.limits.account.order_value == 40_000


async def test_a_limit_in_shadow_counts_and_is_shown(oms: Running, desk: Desk, orders_url: str) -> None:
    await desk.says("set", "order_value", "100", "--shadow", "--reason", "would it do?")
    async with trading(orders_url) as algo:
        for number in range(3):
            await algo.told(await algo.order(number, limit_order("99", "5")), "OrderSent")

    async def told() -> bool:
        return any(type(one).__name__ == "RefusedInShadow" for one in await oms.journal())

    await until(told, "the journal to say it")
    shown = {"[account] order_value = 100": 3}
    await until(lambda: oms.oms.service.details.limits_in_shadow == shown, "the heartbeat to say it")
    assert "100 (shadow)" in await desk.says("show")


async def test_without_an_oms_nothing_changes_and_that_is_said(desk: Desk) -> None:
    said = await desk.says("set", "order_value", "1", "--reason", "x", code=1)
    assert "no OMS took it within 2 s; no limit was changed" in said
    assert "no limits are in force" in await desk.says("show", code=2)
    assert "in force: not known" in await desk.says("explain", "day_loss")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("order_valu", "1", "did you mean order_value?"),
        ("order_value", "ten", "VALUE is 'ten': order_value is a number, zero or more, or none"),
        ("short_sales", "yes", "VALUE is 'yes': short_sales is true, false or none"),
        ("on_silence", "shout", "on_silence is nothing, halt, cancel or none"),
        ("restricted", "GME,a b", "symbol 'A B'"),
    ],
)
def test_what_is_typed_wrong_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        value_of(checked_limit(name), value)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("order_value", "25_000", "25000"),
        ("order_value", "none", None),
        ("short_sales", "false", False),
        ("restricted", "gme, BTCUSD", ["GME", "BTC/USD"]),
        ("restricted", "", []),
        ("responsible_person", "Ann Lee", "Ann Lee"),
    ],
)
def test_what_is_typed_is_meant_as_in_the_file(name: str, value: str, meant: Any) -> None:
    assert value_of(name, value) == meant


def test_one_section_is_meant() -> None:
    assert section_of(None, None, None, each_algorithm=False) == "account"
    assert section_of("alpha", None, None, each_algorithm=False) == "algorithm.alpha"
    assert section_of(None, "btcusd", None, each_algorithm=False) == "symbol.BTC/USD"
    with pytest.raises(InvalidInput, match="give one of --algo, --symbol"):
        section_of("alpha", "AAPL", None, each_algorithm=False)


def test_bad_input_is_a_sentence(home: Path) -> None:
    told = backbone("limits", "load", "missing.toml", "--reason", "x", within=environment(home))
    assert (told.returncode, told.stdout) == (2, "")
    assert "limits file missing.toml" in told.stderr
