"""One snapshot of the whole: what the live view, `backbone status` and `--json` show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
import orjson

from bus import halt, streams
from bus.codec import Message, MessageCodec
from bus.connection import Client
from bus.control_messages import Halt
from bus.errors import Unreadable
from bus.halt_state import HaltState
from bus.heartbeat import (
    AT_WORK,
    ChildDetails,
    FeedDetails,
    Heartbeat,
    IngestDetails,
    OmsDetails,
    StateReason,
    SupervisorDetails,
    UnreadableHeartbeat,
)
from bus.order_messages import EVENTS
from ops.status.heartbeats import Found, leading_algorithms, leading_oms, read_heartbeats, telling
from ops.status.totals import Latencies

# Latencies are those of the latest orders: what was an hour ago does not describe now.
_RECENT = 400

_EVENTS = MessageCodec(EVENTS)


class Process(msgspec.Struct, frozen=True):
    """One process; `age_ms` is the age of its heartbeat, None where it has none.

    `state` is one of the heartbeat's, the supervisor's word on a child that does not run (restarting, failed,
    stopping, stopped), `running` for a child that has no heartbeat, or `unreadable`.
    """

    pid: int | None
    state: str
    restarts: int = 0
    host: str = ""
    age_ms: int | None = None
    process: str = ""
    instance: str = ""
    version: str = ""
    reasons: tuple[StateReason, ...] = ()


class HaltedScope(msgspec.Struct, frozen=True):
    """One scope in which trading is halted or reduced."""

    mode: str
    reason: str
    by: str
    at_ns: int


class AlgorithmStatus(msgspec.Struct, frozen=True):
    """One algorithm, as its heartbeat tells."""

    state: str
    lag: int | None = None
    positions: dict[str, str] = {}
    profit: str | None = None
    open_orders: int | None = None
    failure: str = ""


class Feed(msgspec.Struct, frozen=True):
    """What ingest says of market data; `feeds` by kind, of every instance that has something to say of it."""

    ticks_per_second: float | None = None
    messages_in: int | None = None
    gaps: int | None = None
    connected: dict[str, bool] = {}
    feeds: dict[str, FeedDetails] = {}


class Status(msgspec.Struct, frozen=True):
    """Everything an operator wants to see at a glance."""

    at_ns: int
    account: str
    trading: bool
    why_not: list[str]
    processes: dict[str, Process]
    halts: dict[str, HaltedScope]
    halts_known: bool
    algorithms: dict[str, AlgorithmStatus]
    symbols: dict[str, str]
    feed: Feed
    open_orders: int
    latency_us: dict[str, dict[str, float | None]]
    streams: dict[str, int]
    # Where faults can be made, when the simulator stands in for Alpaca; empty otherwise.
    simulator: str = ""
    recent: tuple[tuple[int, Message], ...] = ()

    def as_json(self) -> bytes:
        """The snapshot without the latest messages, which `backbone tail journal` shows."""
        built = msgspec.to_builtins(msgspec.structs.replace(self, recent=()))
        del built["recent"]
        return orjson.dumps(built)


async def snapshot(
    market: Client, orders: Client, account: str, now_ns: int, *, with_streams: bool = True
) -> Status:
    """Ask both servers once. `with_streams` counts the entries of every stream: a look at each."""
    found = await read_heartbeats(orders, account)
    halts = await halt.read(orders)
    journal = await orders.xrevrange(streams.journal(account), count=_RECENT)
    recent = _messages(journal)
    oms = leading_oms(found)
    sizes: dict[str, int] = {}
    if with_streams:
        sizes = await stream_sizes(market) | await stream_sizes(orders)
    return Status(
        at_ns=now_ns,
        account=account,
        trading=halts.known and not _halted(halts, account) and _takes_orders(oms),
        why_not=_why_not(oms, halts, account),
        processes=_processes(found, now_ns),
        halts=shown_halts(halts),
        halts_known=halts.known,
        algorithms=_algorithms(found),
        symbols=_last_prices(found),
        feed=_feed(found),
        open_orders=oms[1].open_orders if oms is not None and oms[1] is not None else 0,
        latency_us=_latencies(recent),
        streams=dict(sorted(sizes.items())),
        simulator=next((details.simulator for _, details in telling(found, SupervisorDetails)), ""),
        recent=tuple(recent),
    )


def shown_halts(state: HaltState) -> dict[str, HaltedScope]:
    """The halted scopes, each with mode, reason and who."""
    return {
        scope: HaltedScope(
            "halted" if isinstance(message, Halt) else "reduce_only",
            message.reason,
            message.by,
            message.at_ns,
        )
        for scope, message in sorted(state.scopes.items())
    }


async def stream_names(client: Client) -> list[str]:
    """The name of every stream on a server, in order."""
    return sorted([name.decode() async for name in client.scan_iter(count=500, _type="stream")])


async def stream_sizes(client: Client) -> dict[str, int]:
    """How many entries each stream of a server holds."""
    names = await stream_names(client)
    async with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.xlen(name)
        return dict(zip(names, await pipeline.execute(), strict=True))


def _processes(found: Sequence[Found], now_ns: int) -> dict[str, Process]:
    """Every instance by name, and what the supervisor says of its children: a dead one has no heartbeat left.

    A child, and a process with a single heartbeat, go by the process's name; others by `name:instance`.
    """
    shown: dict[str, Process] = {}
    child_of: dict[tuple[str, int, str], ChildDetails] = {}
    for supervisor, details in telling(found, SupervisorDetails):
        for told in details.children:
            shown[told.name] = Process(told.pid, told.state, told.restarts, process=told.name)
            child_of[told.name, told.pid, supervisor.host] = told
    alone = Counter(one.process for one in found)
    for one in found:
        child = child_of.get((one.process, one.pid, one.host)) if isinstance(one, Heartbeat) else None
        is_plain = child is not None or (alone[one.process] == 1 and one.process not in shown)
        name = one.process if is_plain else f"{one.process}:{one.instance}"
        shown[name] = (
            _unreadable(one) if isinstance(one, UnreadableHeartbeat) else _process(one, child, now_ns)
        )
    return shown


def _process(one: Heartbeat, child: ChildDetails | None, now_ns: int) -> Process:
    return Process(
        pid=one.pid,
        state=one.state if child is None or child.state == "running" else child.state,
        restarts=child.restarts if child is not None else 0,
        host=one.host,
        age_ms=one.age_ms(now_ns),
        process=one.process,
        instance=one.instance,
        version=one.version,
        reasons=one.reasons,
    )


def _unreadable(one: UnreadableHeartbeat) -> Process:
    reasons = (StateReason("unreadable", one.why),)
    return Process(None, "unreadable", process=one.process, instance=one.instance, reasons=reasons)


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
    )


def _takes_orders(oms: tuple[Heartbeat, OmsDetails | None] | None) -> bool:
    if oms is None:
        return False
    heartbeat, details = oms
    return heartbeat.state in AT_WORK and details is not None and details.ready


def _halted(halts: HaltState, account: str) -> list[str]:
    """Why nobody trades on this account: the reasons of the scopes that hold all of it."""
    return [halts.scopes[scope].reason for scope in ("all", f"account:{account}") if scope in halts.scopes]


def _why_not(oms: tuple[Heartbeat, OmsDetails | None] | None, halts: HaltState, account: str) -> list[str]:
    reasons = []
    if oms is None:
        reasons.append("the OMS is not running")
    elif not _takes_orders(oms):
        sentences = [reason.sentence for reason in oms[0].reasons]
        reasons += sentences or [f"the OMS is not ready: {oms[0].state}"]
    if halted := _halted(halts, account):
        reasons += [f"halted: {reason}" for reason in halted]
    elif not halts.known:
        reasons.append("the halt state is not known")
    return list(dict.fromkeys(reasons))


def _messages(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[tuple[int, Message]]:
    """Oldest first, each with the millisecond of its entry; what cannot be read is for `tail` to show."""
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


def profit_of(algorithms: Mapping[str, AlgorithmStatus]) -> Decimal | None:
    """The profit of all algorithms together; None where none is known."""
    known = [Decimal(algorithm.profit) for algorithm in algorithms.values() if algorithm.profit is not None]
    return sum(known, Decimal(0)) if known else None
