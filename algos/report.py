"""What an algorithm's heartbeat says: state, lag, positions, profit, open orders, and what was counted."""

import asyncio
from collections.abc import Mapping, Sequence

from algos import lifecycle
from algos.connections import Connections
from algos.registration import Wants
from algos.session import Session
from bus.errors import ServerAway, ServerRefused
from bus.heartbeat import AlgorithmCounters, AlgorithmDetails, State, StateReason
from bus.outage import Outage
from bus.service import Service

EVERY_S = 0.5

# A sentence tells so many refused wants at most.
MOST_TOLD = 10

# Longer than this no heartbeat waits for what a server says of the lag.
LAG_WITHIN_S = 1.0

_LEASE_RAN_OUT = StateReason(
    "server_away",
    "its lease may have run out, as while its server is away: nothing is read or asked for until it is ours "
    "again",
)


class Report:
    """Keeps the heartbeat's details up to date.

    Mutable: the lag as last measured; `waiting_for`, what has to come before the algorithm may lead, None
    where nothing is missing.
    """

    def __init__(
        self,
        service: Service,
        session: Session,
        connections: Connections,
        subscriptions: Mapping[str, Sequence[str]],
        wants: Wants,
    ) -> None:
        self._service = service
        self._session = session
        self._connections = connections
        self._subscriptions = subscriptions
        self._wants = wants
        self._lag: int | None = None
        self._unmeasured = Outage("lag not measured")
        self.waiting_for: StateReason | None = None

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            if self._session.state in (lifecycle.State.LEADER, lifecycle.State.ABORTED):
                await self._measure_lag()
            self.refresh()
            await asyncio.sleep(EVERY_S)

    def refresh(self) -> None:
        """Put what is known now into the heartbeat."""
        session, connections = self._session, self._connections
        portfolio = session.portfolio
        profit = portfolio.realized_profit() + portfolio.unrealized_profit(session.last_prices)
        if not self._service.stopping.is_set():
            waiting_for = self.waiting_for
            if session.state is lifecycle.State.LEADER and not connections.lease.lease.held:
                waiting_for = _LEASE_RAN_OUT
            self._service.tell(*shown_state(session.state, waiting_for, session.failure, self._wants.refused))
        self._service.details = AlgorithmDetails(
            algorithm=session.name,
            lag=self._lag,
            positions={symbol: f"{quantity:f}" for symbol, quantity in portfolio.quantities.items()},
            profit=f"{profit:f}",
            open_orders=len(portfolio.open_orders),
            token=connections.lease.lease.token,
            subscriptions={channel: list(symbols) for channel, symbols in self._subscriptions.items()},
            failure=session.failure,
            counters=AlgorithmCounters(
                handled=session.handled,
                requested=session.requested,
                dropped_stale=session.dropped_stale,
                suppressed=session.suppressed,
                unreadable=session.unreadable,
                trimmed=sum(reader.trimmed for reader in connections.readers),
                groups_recreated=sum(reader.recreated for reader in connections.readers),
            ),
        )

    async def _measure_lag(self) -> None:
        try:
            async with asyncio.timeout(LAG_WITHIN_S):
                # One after the other, many streams would never be done in time.
                self._lag = sum(await asyncio.gather(*(one.lag() for one in self._connections.market)))
        except (ServerAway, ServerRefused, TimeoutError) as error:
            # Unknown is not zero: the heartbeat says null until the server answers again.
            self._lag = None
            self._unmeasured.goes_on(error)
        else:
            self._unmeasured.ended()


def shown_state(
    state: lifecycle.State, waiting_for: StateReason | None, failure: str, refused: Sequence[str] = ()
) -> tuple[State, *tuple[StateReason, ...]]:
    """The heartbeat's state and reasons for an algorithm in this state."""
    waiting = () if waiting_for is None else (waiting_for,)
    unheard = (_unheard(refused),) if refused else ()
    match state:
        case lifecycle.State.BOOTSTRAP:
            return State.WAITING if waiting else State.STARTING, *waiting, *unheard
        case lifecycle.State.FOLLOWER:
            return State.FOLLOWER, *waiting, *unheard
        case lifecycle.State.LEADER:
            return State.DEGRADED if waiting else State.LEADER, *waiting, *unheard
        case lifecycle.State.ABORTED:
            return State.ABORTED, StateReason("handler_failed", failure)


def _unheard(refused: Sequence[str]) -> StateReason:
    more = len(refused) - MOST_TOLD
    told = "; ".join(refused[:MOST_TOLD]) + (f"; and {more:,} more" if more > 0 else "")
    return StateReason("want_refused", f"it wants market data that it does not get: {told}")
