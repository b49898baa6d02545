"""The real OMS before a broker that always says yes: `python -m benchmarks.stub_oms LIMITS`."""

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from oms.__main__ import start
from oms.broker import BeforeSend, Broker, BrokerAccount, BrokerOrder, BrokerPosition
from oms.risk import Approved
from oms.settings import OmsSettings

# Alpaca answers an order in tens of milliseconds.
ANSWER_S = 0.02


class YesBroker:
    """Takes every order and never fills one."""

    def submit(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """An order taken; permission is asked as ever."""
        before_send()
        time.sleep(ANSWER_S)
        terms = approved.terms
        return BrokerOrder(
            id=f"broker-{approved.client_order_id}",
            client_order_id=approved.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            type=terms.type,
            time_in_force=terms.time_in_force,
            status="new",
            quantity=terms.quantity,
            notional=terms.notional,
            limit_price=terms.limit_price,
            stop_price=terms.stop_price,
            filled_quantity=Decimal(0),
            filled_average_price=None,
        )

    def replace(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """As a new order."""
        return self.submit(approved, before_send)

    def cancel(self, broker_order_id: str) -> None:
        """Nothing is ever cancelled here."""

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """Nothing is remembered."""
        return None

    def open_orders(self) -> list[BrokerOrder]:
        """Nothing is remembered."""
        return []

    def recent_orders(self, since_ns: int) -> list[BrokerOrder]:
        """Nothing is remembered."""
        return []

    def positions(self) -> list[BrokerPosition]:
        """No positions."""
        return []

    def account(self) -> BrokerAccount:
        """Money enough."""
        return BrokerAccount(Decimal(10**9), Decimal(10**9), Decimal(10**9))

    def count_lookups(self, counted: Callable[[], None]) -> None:
        """There are no requests to count."""

    def close(self) -> None:
        """Nothing is open."""


def broker(settings: OmsSettings) -> Broker:
    """The broker of these settings."""
    del settings
    return YesBroker()


if __name__ == "__main__":
    sys.exit(start(Path(sys.argv[1]), broker))
