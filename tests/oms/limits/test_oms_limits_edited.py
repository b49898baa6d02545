"""The limits file is edited while the OMS runs: what does not hold is told."""

import time
from pathlib import Path
from typing import Any

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limits_text, running
from risk_day import LIMITS
from waiting import until

from bus.limit_messages import LimitsChanged, LoadLimits
from oms.limits.limits import parse
from oms.limits.limits_edited import edited
from oms.limits.limits_in_force import LimitsInForce


def in_force(text: str) -> LimitsInForce:
    """The limits of a file that was read."""
    force = LimitsInForce()
    limits = parse(text, "limits").as_dict()
    force.read(LimitsChanged(limits_version=1, limits=limits, source="limits.toml", by="ann", at_ns=1))
    return force


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LIMITS, ""),
        (LIMITS + "# nothing else\n", ""),
        (
            LIMITS.replace("order_quantity = 1000", "order_quantity = 10"),
            "it says 10 for [account] order_quantity, 1000 holds; `backbone limits load",
        ),
        (
            LIMITS + '[symbol."BTCUSD"]\norder_value = 5\n',
            'it says 5 for [symbol."BTC/USD"] order_value, no limit',
        ),
        (
            LIMITS.replace("order_quantity = 1000", "order_quantity = 5").replace("= 200", "= 9"),
            "and 1 more",
        ),
        (
            LIMITS.replace("order_quantity", "order_quantty"),
            "what was read of it holds on, but the next start",
        ),
        ("[account", "what was read of it holds on, but the next start would fail"),
        (None, "No such file"),
    ],
)
def test_what_is_told_of_an_edited_file(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "limits.toml"
    if text is not None:
        path.write_text(text)
    said = edited(path, in_force(LIMITS))
    assert told in said
    assert bool(said) == bool(told)


async def test_an_edit_is_told_until_it_is_in_force(
    tmp_path: Path, md_url: str, orders_url: str, orders_client: Any
) -> None:
    """Who tightens a limit in the file, and is told nothing, believes that it holds."""
    path, text = tmp_path / "limits.toml", limits_text(price_age_seconds=3600)
    path.write_text(text)
    limits = parse(text, "limits")
    async with running(md_url, orders_url, FakeBroker(), limits=limits, oms_limits=path) as oms:

        def differ() -> tuple[str, ...]:
            details: Any = oms.oms.service.details
            return tuple(details.limits_differ)

        assert differ() == ()
        tighter = limits_text(price_age_seconds=3600, order_quantity=7)
        path.write_text(tighter)
        await until(lambda: bool(differ()), "the edit to be told")
        assert "it says 7 for [account] order_quantity" in differ()[0]
        message = LoadLimits(
            account=ACCOUNT, limits=parse(tighter, "x").as_dict(), source=str(path), loosen=False, reason="r",
            by="ann", at_ns=time.time_ns(),
        )  # fmt: skip
        oms.oms.hear("9-0", message)
        await until(lambda: differ() == (), "the edit to be in force")
        assert oms.oms.engine.state.limits.account.order_quantity == 7


async def test_what_was_edited_while_it_stood_by_is_told_once_it_leads(
    tmp_path: Path, md_url: str, orders_url: str
) -> None:
    """It read the file when it was started, which may be days before."""
    path = tmp_path / "limits.toml"
    path.write_text(limits_text(price_age_seconds=3600, order_quantity=7))
    limits = parse(limits_text(price_age_seconds=3600), "limits")
    async with running(md_url, orders_url, FakeBroker(), limits=limits, oms_limits=path) as oms:

        def differ() -> tuple[str, ...]:
            details: Any = oms.oms.service.details
            return tuple(details.limits_differ)

        await until(lambda: bool(differ()), "the edit to be told")
        assert "it says 7 for [account] order_quantity" in differ()[0]
