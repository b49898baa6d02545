"""The account's configurations: read, written back, obeyed."""

import pytest
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.models import AccountConfiguration
from edge import Edge
from placing import Placing
from target import Target
from trading_shapes import CONFIGURATIONS


def test_the_configurations_are_read_and_written_back(
    trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    before = trading.get_account_configurations()
    assert isinstance(before, AccountConfiguration)
    body = agrees.answer(CONFIGURATIONS)
    # The same again: nothing changes on an account that may be somebody's.
    trading.set_account_configurations(before)
    assert edge.last.method == "PATCH"
    assert agrees.answer(CONFIGURATIONS) == body


def test_one_configuration_can_be_written_alone(trading: TradingClient, agrees: Agreement) -> None:
    trading.get_account_configurations()
    body = agrees.answer(CONFIGURATIONS)
    trading.patch("/account/configurations", {"trade_confirm_email": body["trade_confirm_email"]})
    assert agrees.answer(CONFIGURATIONS) == body


def test_an_account_that_suspends_trading_refuses_orders(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    if target.kind == "paper":
        pytest.skip("a run that breaks off would leave somebody's account suspended")
    trading.patch("/account/configurations", {"suspend_trade": True})
    try:
        agrees.refusal(403, 40310000, placing.rest)
    finally:
        trading.patch("/account/configurations", {"suspend_trade": False})
    assert placing.rest().id
