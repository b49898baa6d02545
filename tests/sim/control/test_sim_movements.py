"""What changes an account otherwise than a fill: activities and splits, in the account and in its ledger."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator.start("--symbols", "AAPL,MSFT,BTC/USD", "--hours", "always") as started:
        yield started


def activities(client: TradingClient, **query: str) -> list[dict[str, Any]]:
    """The account's activities, oldest first."""
    found = client.get("/account/activities", {"direction": "asc", **query})
    assert isinstance(found, list)
    return found


def explained(simulator: Simulator) -> dict[str, Any]:
    """The ledger, which explains the account."""
    found = simulator.ledger()
    assert found["difference"] == {"cash": "0", "positions": {}, "orders": []}
    return found


def test_a_dividend_a_fee_and_transfers_are_listed_and_change_the_account(
    simulator: Simulator, client: TradingClient
) -> None:
    simulator.activity("DIV", symbol="AAPL", qty="10", net_amount="2.5")
    simulator.activity("FEE", net_amount="-0.02", description="TAF fee")
    simulator.activity("CSD", net_amount="1000")
    simulator.activity("JNLS", symbol="MSFT", qty="3", price="400")
    simulator.activity("CFEE", symbol="BTC/USD", qty="0.5")
    found = activities(client, category="non_trade_activity")
    assert [one["activity_type"] for one in found] == ["DIV", "FEE", "CSD", "JNLS", "CFEE"]
    assert (found[0]["net_amount"], found[0]["qty"], found[4]["symbol"]) == ("2.5", "10", "BTCUSD")
    assert activities(client, category="trade_activity") == []
    # The shares that a dividend is paid on do not come with it.
    ledger = explained(simulator)
    assert (ledger["positions"], ledger["cash"]) == ({"MSFT": "3", "BTC/USD": "0.5"}, "101002.48")


def test_a_split_multiplies_shares_and_restates_orders(simulator: Simulator, client: TradingClient) -> None:
    simulator.activity("JNLS", symbol="AAPL", qty="10", price="200")
    order = client.submit_order(
        LimitOrderRequest(
            symbol="AAPL", qty=6, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, limit_price=9000
        )
    )
    simulator.split("AAPL", "4:1")
    position = client.get_open_position("AAPL")
    assert (position.qty, position.avg_entry_price) == ("40", "50")  # type: ignore[union-attr]
    restated = client.get_order_by_id(order.id)  # type: ignore[union-attr]
    assert (restated.qty, restated.limit_price) == ("24", "2250")  # type: ignore[union-attr]
    assert explained(simulator)["positions"] == {"AAPL": "40"}
    simulator.split("AAPL", "1:4")
    assert client.get_open_position("AAPL").qty == "10"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"type": "FILL"}, "type is 'FILL'"),
        ({"type": "JNLS", "symbol": "AAPL"}, "give its symbol and qty"),
        ({"type": "DIV", "net_amount": "1e30"}, "net_amount"),
    ],
)
def test_a_wrong_activity_is_named(simulator: Simulator, fields: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        simulator.activity(**fields)


@pytest.mark.parametrize(
    ("symbol", "ratio", "named"),
    [
        ("AAPL", "4", "ratio is '4'"),
        ("AAPL", "0:1", "ratio is '0:1'"),
        ("NO SUCH", "4:1", "symbol is 'NO SUCH'"),
    ],
)
def test_a_wrong_split_is_named(simulator: Simulator, symbol: str, ratio: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        simulator.split(symbol, ratio)


def test_cash_is_decimal(simulator: Simulator) -> None:
    simulator.activity("INT", net_amount="0.000000001")
    assert Decimal(explained(simulator)["cash"]) == Decimal("100000.000000001")
