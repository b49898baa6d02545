"""What a trading day leaves: the account and its positions compare the next day with it."""

from decimal import Decimal

from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import Position, TradeAccount
from alpaca.trading.requests import MarketOrderRequest
from simulator import Simulator


def test_the_next_day_is_compared_with_the_close() -> None:
    with Simulator.start("--virtual-time", "--symbols", "AAPL", "--rate", "1") as simulator:
        client = simulator.trading_client()

        def account() -> TradeAccount:
            found = client.get_account()
            assert isinstance(found, TradeAccount)
            return found

        def position() -> Position:
            found = client.get_open_position("AAPL")
            assert isinstance(found, Position)
            return found

        client.submit_order(
            MarketOrderRequest(symbol="AAPL", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        )
        simulator.advance(6.5 * 3600)  # from 9:30 to 16:00
        close, at_close = position().current_price, account()
        assert at_close.last_equity == "100000"
        simulator.advance(8 * 3600 + 60)  # past midnight
        next_day = account()
        assert next_day.last_equity == at_close.equity
        held = position()
        assert held.lastday_price == close
        assert held.current_price is not None
        assert held.unrealized_intraday_pl is not None
        moved = Decimal(held.current_price) - Decimal(str(close))
        assert Decimal(held.unrealized_intraday_pl) == 10 * moved
        raw = client.get("/account")
        assert isinstance(raw, dict)
        assert raw["balance_asof"] == "2026-01-05"
        client._session.close()
