"""What an algorithm's heartbeat says: state, lag, positions, profit, open orders, and what was counted."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from algos.event_feed import EventFeed
from algos.leader import Leader
from algos.market_feed import MarketFeed
from bus.errors import ServerAway, ServerRefused
from bus.lease import Lease
from bus.service import Service

EVERY_S = 0.5

log = structlog.get_logger()


class Report:
    """Keeps the heartbeat's details up to date."""

    def __init__(
        self,
        service: Service,
        leader: Leader,
        lease: Lease,
        feeds: Sequence[MarketFeed],
        events: EventFeed,
        subscriptions: Mapping[str, Sequence[str]],
    ) -> None:
        self._service = service
        self._leader = leader
        self._lease = lease
        self._feeds = feeds
        self._events = events
        self._subscriptions = subscriptions
        self._lag: int | None = None

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            if self._leader.leads or self._leader.aborted:
                await self._measure_lag()
            self.refresh()
            await asyncio.sleep(EVERY_S)

    def refresh(self) -> None:
        """Put what is known now into the heartbeat."""
        leader, desk = self._leader, self._leader.desk
        portfolio, prices = desk.portfolio, leader.dispatcher.last_prices
        profit = portfolio.realised_profit() + portfolio.unrealised_profit(prices)
        if not self._service.stopping.is_set():
            self._service.state = desk.state
        self._service.details |= {
            "algorithm": desk.name,
            "state": desk.state,
            "lag": self._lag,
            "positions": {symbol: f"{quantity:f}" for symbol, quantity in portfolio.quantities.items()},
            "profit": f"{profit:f}",
            "open_orders": len(portfolio.open_orders),
            "token": self._lease.token,
            "subscriptions": dict(self._subscriptions),
            "failure": leader.failure,
        }
        readers = [feed.reader for feed in self._feeds]
        self._service.counters |= {
            "handled": leader.dispatcher.handled,
            "requested": leader.requested,
            "dropped_stale": desk.dropped,
            "suppressed": desk.suppressed,
            "unreadable": sum(feed.unreadable for feed in self._feeds) + self._events.unreadable,
            "trimmed": sum(reader.trimmed for reader in (*readers, self._events.reader)),
            "groups_recreated": sum(reader.recreated for reader in (*readers, self._events.reader)),
        }

    async def _measure_lag(self) -> None:
        try:
            self._lag = sum([await feed.reader.lag() for feed in self._feeds])
        except (ServerAway, ServerRefused) as error:
            # Unknown is not zero: the heartbeat says null until the server answers again.
            self._lag = None
            log.warning("lag not measured", error=str(error))
