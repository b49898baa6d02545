"""The real OMS before a broker that always says yes: `python -m benchmarks.stub_oms LIMITS`."""

import asyncio
import sys
import time
from decimal import Decimal
from pathlib import Path

from oms.__main__ import start
from oms.broker.protocol import (
    Accepted,
    ActivitiesPage,
    ActivitiesQuery,
    Broker,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    MaySend,
    OrdersPage,
    OrdersQuery,
    Outcome,
    Rejected,
    UnreadablePosition,
    Watcher,
)
from oms.risk.approval import Approved
from oms.risk.assets import Asset
from oms.settings import OmsSettings

# Alpaca answers an order in tens of milliseconds.
ANSWER_S = 0.02


class YesBroker:
    """Takes every order and never fills one."""

    def watch(self, watcher: Watcher) -> None:
        """It always does well."""

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """An order taken; permission is asked as ever."""
        reason = may_send()
        if reason is not None:
            return Rejected("oms", reason)
        sent_ns = time.time_ns()
        await asyncio.sleep(ANSWER_S)
        terms = approved.terms
        order = BrokerOrder(
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
        return Accepted(order, sent_ns, time.time_ns())

    async def replace(self, approved: Approved, may_send: MaySend) -> Outcome:
        """As a new order."""
        return await self.submit(approved, may_send)

    async def cancel(self, broker_order_id: str) -> None:
        """Nothing is ever canceled here."""

    async def cancel_all(self) -> None:
        """Nothing is ever canceled here."""

    async def find(self, client_order_id: str) -> BrokerOrder | None:
        """Nothing is remembered."""
        return None

    async def orders_page(self, query: OrdersQuery) -> OrdersPage:
        """Nothing is remembered."""
        return OrdersPage(())

    async def positions(self) -> list[BrokerPosition | UnreadablePosition]:
        """No positions."""
        return []

    async def account(self) -> BrokerAccount:
        """Money enough."""
        return BrokerAccount("STUB", Decimal(10**9), Decimal(10**9), Decimal(10**9))

    async def activities_page(self, query: ActivitiesQuery) -> ActivitiesPage:
        """Nothing happens."""
        return ActivitiesPage(())

    async def asset(self, symbol: str) -> Asset:
        """Every symbol is traded."""
        return Asset("active", tradable=True, shortable=True, easy_to_borrow=True)

    async def is_market_open(self) -> bool:
        """It never closes."""
        return True

    async def close(self) -> None:
        """Nothing is open."""


def broker(settings: OmsSettings) -> Broker:
    """The broker of these settings."""
    del settings
    return YesBroker()


if __name__ == "__main__":
    sys.exit(start(Path(sys.argv[1]), broker))
