"""Asks both servers once how everything stands, and fills the status with the answers."""

import asyncio
from collections.abc import Mapping, Sequence

from bus import halt, streams
from bus.codec import Message, MessageCodec
from bus.connection import Client
from bus.errors import RefusedForNow, ServerAway, ServerRefused, Unreadable
from bus.events import EVENTS
from bus.halt_state import HaltState
from bus.heartbeat import (
    AT_WORK,
    FeedDetails,
    Heartbeat,
    IngestDetails,
    OmsDetails,
    SupervisorDetails,
)
from bus.write_probe import require_writes
from ops.status.heartbeat_reader import read_heartbeats
from ops.status.heartbeats import Found, leading_algorithms, leading_oms, telling
from ops.status.latencies import Latencies
from ops.status.model import AlgorithmStatus, Feed, OmsStatus, Process, Status, shown_halts
from ops.status.processes import processes_of
from ops.stream_sizes import stream_sizes

# Latencies are those of the latest orders: what was an hour ago does not describe now.
_RECENT = 400

# A market-data server that does not even refuse within this time is said to be silent.
_MARKET_WITHIN_S = 1.0

_EVENTS = MessageCodec(EVENTS)


async def snapshot(
    market: Client | None,
    orders: Client,
    account: str,
    now_ns: int,
    *,
    with_streams: bool = True,
    market_away: str = "",
) -> Status:
    """Ask both servers once. `with_streams` also counts the entries of every stream, a call for each.

    Without `market`, which `market_away` explains, the orders server alone.
    """
    refusing = await _refusing(market, orders)
    found = await read_heartbeats(orders, account)
    halts = await halt.read(orders)
    journal = await orders.xrevrange(streams.journal(account), count=_RECENT)
    recent = _messages(journal)
    oms = leading_oms(found)
    sizes: dict[str, int] = {}
    if with_streams:
        sizes = (await stream_sizes(market) if market else {}) | await stream_sizes(orders)
    processes, algorithms = processes_of(found, now_ns), _algorithms(found)
    why_not = _why_not(oms, halts, account, refusing)
    return Status(
        at_ns=now_ns,
        account=account,
        trading=not why_not,
        why_not=why_not,
        processes=processes,
        halts=shown_halts(halts),
        halts_known=halts.known,
        algorithms=algorithms,
        failed=failed(processes, algorithms),
        refusing=refusing,
        symbols=_last_prices(found),
        feed=_feed(found),
        open_orders=oms[1].open_orders if oms is not None and oms[1] is not None else 0,
        latency_us=_latencies(recent),
        streams=dict(sorted(sizes.items())),
        market_data_away=market_away,
        oms=_oms(oms[1]) if oms is not None and oms[1] is not None else None,
        simulator=next((details.simulator for _, details in telling(found, SupervisorDetails)), ""),
        recent=tuple(recent),
    )


async def _refusing(market: Client | None, orders: Client) -> dict[str, str]:
    """Who takes nothing now, and what it says; a silent `market` too. Raises as `orders` does."""
    refusing: dict[str, str] = {}
    try:
        await require_writes(orders)
    except RefusedForNow as error:
        refusing["orders"] = str(error)
    except ServerRefused:
        # Whoever may only look is refused for another reason.
        pass
    if market is not None:
        try:
            async with asyncio.timeout(_MARKET_WITHIN_S):
                await require_writes(market)
        except (ServerAway, TimeoutError) as error:
            refusing["market"] = str(error) or f"no answer within {_MARKET_WITHIN_S:g} s"
        except ServerRefused:
            pass
    return refusing


def failed(processes: Mapping[str, Process], algorithms: Mapping[str, AlgorithmStatus]) -> dict[str, str]:
    """A sentence for each algorithm that ended for good, or ends again and again, or aborted."""
    ended = {
        name: f"{name} {'failed' if process.state == 'failed' else 'ends again and again'}"
        for name, process in processes.items()
        if name.startswith("algo-") and process.state in ("failed", "restarting")
    }
    aborted = {
        f"algo-{name}": f"{name} aborted: {one.failure}" for name, one in algorithms.items() if one.failure
    }
    return ended | aborted


def _algorithms(found: Sequence[Found]) -> dict[str, AlgorithmStatus]:
    return {
        name: AlgorithmStatus(
            state=heartbeat.state,
            lag=details.lag,
            positions=details.positions,
            profit=details.profit,
            open_orders=details.open_orders,
            failure=details.failure,
        )
        for name, (heartbeat, details) in leading_algorithms(found).items()
    }


def _oms(details: OmsDetails) -> OmsStatus:
    return OmsStatus(
        cash=details.cash,
        reserved=details.reserved,
        uncertain=details.uncertain_now,
        external_orders=details.external_orders,
        not_understood=details.not_understood,
        agreed_ns=details.agreed_ns,
        differences=details.differences,
        unprotected=details.unprotected,
        halt_file=details.halt_file,
        flattening=details.flattening,
        sending=details.sending,
        books=details.books,
        unexplained=details.unexplained,
        limits_version=details.limits_version,
        limits_differ=details.limits_differ,
        limits_in_shadow=details.limits_in_shadow,
        digest=details.digest,
        digest_at=details.digest_at,
        account_number=details.account_number,
        trading=details.trading,
    )


def _last_prices(found: Sequence[Found]) -> dict[str, str]:
    prices: dict[str, str] = {}
    for _, details in telling(found, IngestDetails):
        prices |= details.last_prices
    return dict(sorted(prices.items()))


def _feed(found: Sequence[Found]) -> Feed:
    """All ingests together: one may serve a feed that another waits for."""
    heard = [details for _, details in telling(found, IngestDetails)]
    if not heard:
        return Feed()
    feeds: dict[str, FeedDetails] = {}
    for details in heard:
        for kind, feed in details.feeds.items():
            if kind not in feeds or feed.connected:
                feeds[kind] = feed
    return Feed(
        ticks_per_second=sum(details.ticks_per_second for details in heard),
        messages_in=sum(details.counters.messages_in for details in heard),
        gaps=sum(details.counters.gaps for details in heard),
        connected={kind: feed.connected for kind, feed in feeds.items()},
        feeds=feeds,
        retention=next((one.retention for one in heard if one.retention is not None), None),
    )


def _takes_orders(oms: tuple[Heartbeat, OmsDetails | None] | None) -> bool:
    if oms is None:
        return False
    heartbeat, details = oms
    return heartbeat.state in AT_WORK and details is not None and details.ready


def _halted(halts: HaltState, account: str) -> list[str]:
    """Return the reasons of the halts that cover the whole account."""
    return [halts.scopes[scope].reason for scope in ("all", f"account:{account}") if scope in halts.scopes]


def _why_not(
    oms: tuple[Heartbeat, OmsDetails | None] | None,
    halts: HaltState,
    account: str,
    refusing: Mapping[str, str],
) -> list[str]:
    reasons = []
    if why := refusing.get("orders"):
        # Nobody can say there how it is, so nothing is known of anybody.
        reasons.append(f"the orders server takes nothing now: {why}")
    elif oms is None:
        reasons.append("the OMS is not running")
    elif not _takes_orders(oms):
        sentences = [reason.sentence for reason in oms[0].reasons]
        reasons += sentences or [f"the OMS is not ready: {oms[0].state}"]
    if halted := _halted(halts, account):
        reasons += [f"halted: {reason}" for reason in halted]
    elif not halts.known:
        # At the first start it is written as soon as an OMS has found an account without a past.
        do_now = "; look at the account, then `backbone resume --reason ...`" if _takes_orders(oms) else ""
        reasons.append(f"the halt state is not known{do_now}")
    return list(dict.fromkeys(reasons))


def _messages(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[tuple[int, Message]]:
    """Decode entries, oldest first, each with its millisecond; `backbone tail` shows unreadable ones."""
    found = []
    for id_, fields in reversed(entries):
        try:
            found.append((int(id_.split(b"-")[0]), _EVENTS.decode(fields)))
        except Unreadable:
            continue
    return found


def _latencies(recent: list[tuple[int, Message]]) -> dict[str, dict[str, float | None]]:
    latencies = Latencies()
    for _, message in recent:
        latencies.apply(message)
    return latencies.percentiles_us()
