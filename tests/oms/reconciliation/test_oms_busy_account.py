"""Comparing an account that never rests: an order is on its way at every moment, and fills are told late."""

from decimal import Decimal

import pytest
from busy_account import BusyAccount
from engine_run import SECOND_NS

from bus.account_messages import PositionDiffers
from bus.book_messages import Reconciled
from bus.control_messages import Reconcile
from bus.halt_messages import HaltTriggered
from oms.state.inputs import ControlRead

MINUTE_NS = 60 * SECOND_NS


@pytest.mark.parametrize("symbols", [("AAPL",), ("AAPL", "MSFT", "BTC/USD")])
@pytest.mark.parametrize("told_within_ms", [400, 6000])
def test_nothing_is_told_of_fills_that_come_late(symbols: tuple[str, ...], told_within_ms: int) -> None:
    busy = BusyAccount(1, symbols, told_within_ms)
    busy.pass_time(10 * MINUTE_NS)
    assert busy.made > 1700
    assert len(busy.looks) >= 18
    assert not busy.events(PositionDiffers)
    busy.trades = False
    busy.pass_time(2 * MINUTE_NS)
    assert busy.run.engine.state.book.quantities() == {name: held for name, held in busy.held.items() if held}
    assert busy.run.engine.observed.agreed_ns > busy.run.now_ns - MINUTE_NS


@pytest.mark.parametrize("seed", range(5))
def test_what_no_order_explains_is_found_in_a_symbol_that_never_rests(seed: int) -> None:
    """No look sees the account at rest: no position was compared at all."""
    busy = BusyAccount(seed)
    busy.pass_time(MINUTE_NS)
    busy.move("AAPL", Decimal(3))
    busy.pass_time(5 * MINUTE_NS)
    told = busy.events(PositionDiffers)[0]
    assert isinstance(told, PositionDiffers)
    assert told.at_broker - told.booked == 3
    (halt,) = busy.events(HaltTriggered)
    assert isinstance(halt, HaltTriggered)
    assert halt.scope == "symbol:AAPL"


@pytest.mark.parametrize("seed", range(3))
def test_a_symbol_at_rest_beside_busy_ones_is_compared_at_once(seed: int) -> None:
    busy = BusyAccount(seed, ("AAPL", "MSFT"))
    busy.move("TSLA", Decimal(1))
    busy.pass_time(40 * SECOND_NS)
    (told,) = busy.events(PositionDiffers)
    assert isinstance(told, PositionDiffers)
    assert told.symbol == "TSLA"


@pytest.mark.parametrize("seed", range(3))
def test_a_fill_that_was_lost_in_a_busy_account_is_booked_within_two_looks(seed: int) -> None:
    busy = BusyAccount(seed, ("AAPL", "MSFT"))
    busy.lost.add(50)
    busy.pass_time(100 * SECOND_NS)
    assert busy.run.engine.observed.counts["missed_updates"] == 1
    assert not busy.events(PositionDiffers)


def test_a_difference_is_accepted_although_others_never_rest() -> None:
    """Its answer waited for a look at which the whole account rests: the symbol's halt could not be left."""
    busy = BusyAccount(1, ("AAPL", "MSFT"))
    busy.move("TSLA", Decimal(1))
    busy.pass_time(40 * SECOND_NS)
    message = Reconcile(
        account="paper", accept=("TSLA",), accept_all=False, reason="a gift", by="ann", at_ns=busy.run.now_ns
    )
    busy.run.take(ControlRead("9-0", message))
    busy.pass_time(10 * SECOND_NS)
    (answer,) = busy.events(Reconciled)
    assert isinstance(answer, Reconciled)
    assert [(one.what, one.at_broker) for one in answer.accepted] == [("TSLA", 1)]
    assert busy.run.engine.state.book.position("TSLA", "external") == 1
