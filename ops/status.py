"""One snapshot of the whole: what the live view, `backbone status` and `--json` show."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from bus import halt, streams
from bus.codec import Message, MessageCodec
from bus.connection import Client
from bus.control_messages import Halt
from bus.errors import Unreadable
from bus.halt_state import HaltState
from bus.order_messages import EVENTS
from ops.tally import Latencies

# Latencies are those of the latest orders: what was an hour ago does not describe now.
_RECENT = 400

_EVENTS = MessageCodec(EVENTS)


class Process(msgspec.Struct, frozen=True):
    """One process; `age_ms` is the age of its heartbeat, None where it has none."""

    pid: int | None
    state: str
    restarts: int = 0
    host: str = ""
    age_ms: int | None = None


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
    """What ingest says of market data."""

    ticks_per_second: float | None = None
    messages_in: int | None = None
    gaps: int | None = None
    connected: dict[str, bool] = {}


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
    beats = await _heartbeats(orders)
    halts = await halt.read(orders)
    journal = await orders.xrevrange(streams.journal(account), count=_RECENT)
    recent = _messages(journal)
    oms = _details(beats, "oms")
    ingest = _details(beats, "ingest")
    sizes: dict[str, int] = {}
    if with_streams:
        sizes = await stream_sizes(market) | await stream_sizes(orders)
    return Status(
        at_ns=now_ns,
        account=account,
        trading=halts.known and not _halted(halts, account) and bool(oms.get("ready")),
        why_not=_why_not(oms, halts, account),
        processes=_processes(beats, now_ns),
        halts=shown_halts(halts),
        halts_known=halts.known,
        algorithms=_algorithms(beats),
        symbols={symbol: str(price) for symbol, price in sorted(ingest.get("last_prices", {}).items())},
        feed=_feed(ingest),
        open_orders=int(oms.get("open_orders") or 0),
        latency_us=_latencies(recent),
        streams=dict(sorted(sizes.items())),
        simulator=str(_details(beats, "supervisor").get("simulator", "")),
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


async def _heartbeats(orders: Client) -> dict[str, dict[str, Any]]:
    keys = [key async for key in orders.scan_iter(match=streams.alive("*"), count=500)]
    values = await orders.mget(keys) if keys else []
    beats = (orjson.loads(value) for value in values if value is not None)
    return {beat["process"]: beat for beat in sorted(beats, key=lambda beat: str(beat["process"]))}


def _details(beats: Mapping[str, dict[str, Any]], process: str) -> dict[str, Any]:
    beat = beats.get(process, {})
    return {**beat.get("counters", {}), **beat.get("details", {})}


def _processes(beats: Mapping[str, dict[str, Any]], now_ns: int) -> dict[str, Process]:
    """Heartbeats, and what the supervisor says of its children: a dead one has no heartbeat left."""
    found: dict[str, Process] = {}
    for child in _details(beats, "supervisor").get("children", ()):
        found[child["name"]] = Process(child["pid"], child["state"], child["restarts"])
    for name, beat in beats.items():
        known = found.get(name, Process(beat["pid"], "running"))
        if known.pid != beat["pid"]:
            # The heartbeat of the process that died before this one has not run out yet.
            continue
        found[name] = Process(
            pid=known.pid,
            state=beat["state"] if known.state == "running" else known.state,
            restarts=known.restarts,
            host=beat["host"],
            age_ms=max(0, (now_ns - beat["at_ns"]) // 1_000_000),
        )
    return found


def _algorithms(beats: Mapping[str, dict[str, Any]]) -> dict[str, AlgorithmStatus]:
    found = {}
    for beat in beats.values():
        details = {**beat["counters"], **beat["details"]}
        name = details.get("algorithm")
        if name is not None:
            found[str(name)] = AlgorithmStatus(
                state=str(details.get("state", beat["state"])),
                lag=details.get("lag"),
                positions={symbol: str(size) for symbol, size in details.get("positions", {}).items()},
                profit=str(details["profit"]) if details.get("profit") is not None else None,
                open_orders=details.get("open_orders"),
                failure=str(details.get("failure") or ""),
            )
    return found


def _feed(ingest: Mapping[str, Any]) -> Feed:
    feeds = ingest.get("streams", {})
    return Feed(
        ticks_per_second=ingest.get("ticks_per_second"),
        messages_in=ingest.get("messages_in"),
        gaps=ingest.get("gaps"),
        connected={name: bool(feed.get("connected")) for name, feed in feeds.items()},
    )


def _halted(halts: HaltState, account: str) -> list[str]:
    """Why nobody trades on this account: the reasons of the scopes that hold all of it."""
    return [halts.scopes[scope].reason for scope in ("all", f"account:{account}") if scope in halts.scopes]


def _why_not(oms: Mapping[str, Any], halts: HaltState, account: str) -> list[str]:
    reasons = [str(reason) for reason in oms.get("why_not", ())]
    if not oms:
        reasons.append("the OMS is not running")
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
