"""Decides what the facts about a set-up mean; each finding says what to do."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from bus.account_messages import AccountPinned
from bus.connection import OLDEST_SERVER
from bus.heartbeat import AT_WORK, Heartbeat, UnreadableHeartbeat
from oms.journal import pinning
from oms.state.inputs import AccountRead
from ops.status.model import HaltedScope

Level = Literal["ok", "warning", "problem"]

# The age of a price is our time less that of its arrival: a clock that is off makes fresh prices look old.
_CLOCK_WARNING_MS = 100
_CLOCK_PROBLEM_MS = 1000


class Finding(msgspec.Struct, frozen=True):
    """What one check found."""

    check: str
    level: Level
    sentence: str


def version(check: str, found: str) -> Finding:
    """Require a server that is recent enough."""
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_SERVER:
        return Finding(check, "problem", f"version {found} is too old: install Redis 7.0 or newer")
    return Finding(check, "ok", f"version {found}")


def durability(check: str, role: str, config: Mapping[str, str]) -> Finding:
    """Require that the server keeps writes over a restart; an empty `config` is one that it does not show."""
    if not config:
        return Finding(
            check,
            "warning",
            "the server does not let us read CONFIG: see that orders are kept safely yourself",
        )
    if config.get("appendonly") != "yes":
        level: Level = "problem" if role == "orders" else "warning"
        return Finding(check, level, "nothing is kept over a restart: set `appendonly yes`")
    fsync = config.get("appendfsync", "?")
    if role == "orders" and fsync != "always":
        return Finding(
            check,
            "problem",
            f"an approved order may be lost with the machine (appendfsync {fsync}): set `appendfsync always`",
        )
    return Finding(check, "ok", f"writes are kept (appendfsync {fsync})")


def eviction(check: str, role: str, config: Mapping[str, str]) -> Finding | None:
    """Require that the server evicts nothing when its memory is full; None where it does not say."""
    policy = config.get("maxmemory-policy")
    if policy is None:
        return None
    if policy == "noeviction":
        return Finding(check, "ok", "nothing is evicted (maxmemory-policy noeviction)")
    level: Level = "problem" if role == "orders" else "warning"
    return Finding(
        check, level, f"streams may vanish (maxmemory-policy {policy}): set `maxmemory-policy noeviction`"
    )


def sharing(same: bool, meant: bool) -> Finding:
    """Require two servers; one is only a warning where that is meant."""
    check = "shared server"
    if not same:
        return Finding(check, "ok", "market data and orders live on two servers")
    why = "a burst of market data can slow or fill up what the kill switch and the journal need"
    if meant:
        return Finding(check, "warning", f"market data and orders share one server: {why}")
    return Finding(
        check, "problem", f"MD_REDIS_URL and ORDERS_REDIS_URL are one server: {why}; use two, or say --shared"
    )


def clock(check: str, offset_ms: float) -> Finding:
    """Compare the server's clock with ours; a positive offset is a server ahead of us."""
    off = abs(offset_ms)
    ahead = "ahead of" if offset_ms > 0 else "behind"
    sentence = f"the server's clock is {off:.0f} ms {ahead} ours"
    if off > _CLOCK_PROBLEM_MS:
        return Finding(check, "problem", f"{sentence}: prices will look stale; set both by NTP")
    if off > _CLOCK_WARNING_MS:
        return Finding(check, "warning", f"{sentence}: set both by NTP")
    return Finding(check, "ok", sentence)


def halts(known: bool, scopes: Mapping[str, HaltedScope], empty: bool) -> Finding:
    """Report halts; a missing halt state is a problem unless the journal and the account are `empty`."""
    check = "halts"
    if not known and not empty:
        return Finding(
            check,
            "problem",
            "the halt state is missing although there is a journal, so nothing trades: "
            "see what happened to the server, then `backbone resume --reason ...`",
        )
    if scopes:
        named = "; ".join(
            f"{scope} ({halted.reason}, by {halted.by})" for scope, halted in sorted(scopes.items())
        )
        return Finding(check, "warning", f"halted: {named}; `backbone resume --reason ...` lifts it")
    return Finding(check, "ok", "nothing is halted")


def limits(unmatched: Sequence[str], checked_by: str, differing: Sequence[str] = ()) -> Finding:
    """Warn of limits of which the file says something else than when they were set, and of names that bind
    nothing, each a sentence; `checked_by` says of which limits."""
    if differing:
        sentence = "; ".join((*differing, *unmatched))
        return Finding("limits", "warning", f"{sentence}; set them again, or have the file say the same")
    if unmatched:
        sentence = f"names in {checked_by} that bind nothing: {'; '.join(unmatched)}"
        return Finding("limits", "warning", f"{sentence}; correct them, or leave them for what comes later")
    return Finding("limits", "ok", f"{checked_by}: no name in them is known to bind nothing")


def account(name: str, pinned: AccountPinned | None, keys: AccountRead) -> Finding:
    """Report which broker account the journal belongs to; `keys` whose number is "" are not compared."""
    check = "account"
    if refused := pinning.refusal(name, pinned, keys) if keys.number else "":
        return Finding(check, "problem", refused)
    if pinned is None:
        return Finding(check, "ok", f"account {name} has no journal that belongs to one of Alpaca's yet")
    whose = f"the journal of account {name} belongs to Alpaca's {pinned.trading} account {pinned.number}"
    return Finding(check, "ok", f"{whose}{', as the keys do' if keys.number else ''}")


def leases(holders: Mapping[str, str], alive: Sequence[Heartbeat | UnreadableHeartbeat]) -> Finding:
    """Report who holds which lease, and warn of leases without any heartbeat."""
    if not holders:
        return Finding("leases", "ok", "nobody holds a lease: nothing is running")
    named = ", ".join(f"{key} by {value.partition(':')[2]}" for key, value in sorted(holders.items()))
    if not alive:
        return Finding(
            "leases", "warning", f"held without any heartbeat: {named}; they run out by themselves within 5 s"
        )
    return Finding("leases", "ok", f"held: {named}")


def heartbeats(found: Sequence[Heartbeat | UnreadableHeartbeat]) -> Finding:
    """Report processes that do not do their work, and heartbeats that cannot be read."""
    unreadable = [
        f"{one.process} ({one.instance or 'no instance'}): {one.why}"
        for one in found
        if isinstance(one, UnreadableHeartbeat)
    ]
    if unreadable:
        return Finding("processes", "problem", "; ".join(unreadable))
    idle = [
        f"{one.process} ({one.instance}) is {one.state}" + "".join(f": {why.sentence}" for why in one.reasons)
        for one in found
        if isinstance(one, Heartbeat) and one.state not in AT_WORK
    ]
    if idle:
        return Finding("processes", "warning", "; ".join(idle))
    return Finding("processes", "ok", f"{len(found)} alive and at work" if found else "none is running")


def keys(present: bool, trading: str) -> Finding:
    """Report whether keys are set, and warn where they trade real money."""
    if not present:
        return Finding(
            "keys",
            "warning",
            "ALPACA_API_KEY and ALPACA_SECRET_KEY are not set: the demo needs none, `backbone up` does",
        )
    if trading == "live":
        return Finding("keys", "warning", "set, and BACKBONE_TRADING=live: orders are for real money")
    return Finding("keys", "ok", "set, for paper trading")
