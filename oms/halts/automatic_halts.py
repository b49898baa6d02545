"""When the OMS halts by itself: what is counted and for how long, each against its limit. Pure.

Only a resume lifts such a halt, and whatever it counted begins anew then.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bus.halt_messages import HaltLifted, Market
from bus.trading_day import phase
from oms.amounts import text
from oms.halts import day_loss
from oms.limits.limit_scopes import Scope
from oms.requests import cancels
from oms.state.inputs import Listened
from oms.state.step import Step

_SECOND_NS = 1_000_000_000

# Observations further apart than this prove nothing about the time between: it is counted anew.
_GAP_NS = 5 * _SECOND_NS

# Words on the OMS or the kill switch, not on an order: that they come again is no fault.
NOT_COUNTED = frozenset(
    {"not_ready", "halted", "halt_unknown", "control_unread", "not_leader", "shut_down", "flattening"}
)


@dataclass(frozen=True, slots=True)
class HaltAfter:
    """For how long something may be away before the OMS halts, in nanoseconds; `alive_ns`, how long a
    heartbeat holds."""

    feed_ns: int = 30 * _SECOND_NS
    updates_ns: int = 30 * _SECOND_NS
    market_data_ns: int = 30 * _SECOND_NS
    silent_ns: int = 30 * _SECOND_NS
    alive_ns: int = 3 * _SECOND_NS


HALT_AFTER = HaltAfter()


def scopes_of(step: Step, algorithm: str) -> list[tuple[str, str, Sequence[Scope]]]:
    """The account and an algorithm: each with its scope and the sections of the limits that hold for it."""
    limits = step.state.limits
    if limits is None:
        return []
    own = [limits.each_algorithm]
    if algorithm in limits.algorithms:
        own.append(limits.algorithms[algorithm])
    whole = (f"account:{step.account}", "", [limits.account])
    return [whole, (f"algorithm:{algorithm}", algorithm, own)] if algorithm else [whole]


def count_refused(step: Step) -> None:
    """Count what was rejected or refused in this input."""
    refused, step.observed.refused_now = step.observed.refused_now, []
    for by, algorithm, code, times in refused:
        if by == "broker":
            _count(step, "rejects", algorithm, times)
        elif by == "risk" and code not in NOT_COUNTED:
            _count(step, "refusals", algorithm, times)


def _count(step: Step, kind: str, algorithm: str, times: int) -> None:
    """Count rejects by the broker, or refusals by risk, against the most that one second may have."""
    what = "rejects by the broker" if kind == "rejects" else "refusals"
    for scope, name, sections in scopes_of(step, algorithm):
        found = [value for one in sections if (value := getattr(one, f"{kind}_per_second")) is not None]
        if not found:
            continue
        most = int(min(found))
        seen = step.observed.counted.times.setdefault((kind, name), deque())
        seen.extend([step.now_ns] * min(times, most + 1))
        # Those yet to come are of before a clock was set back.
        while seen and not 0 <= step.now_ns - seen[0] < _SECOND_NS:
            seen.popleft()
        if len(seen) > most:
            reason = f"{len(seen)} {what} within one second; the limit is {most}"
            step.halt(scope, f"{kind}_per_second", reason, str(most), str(len(seen)))
            seen.clear()


def look(step: Step) -> None:
    """At each tick: orders that nobody answers, and halts that a crash kept from the halt key."""
    counted = step.observed.counted
    for scope, halt in step.state.triggers.pending().items():
        if scope not in counted.asked:
            counted.asked.add(scope)
            step.effects.halts.append(halt)
    doubts = step.observed.doubts
    for key in [key for key in counted.since if key[0] == "unanswered" and key[1] not in doubts]:
        del counted.since[key]
    for order_id in doubts:
        order = step.order(order_id)
        waited_ns = _away_ns(step, "unanswered", order_id)
        for scope, _, sections in scopes_of(step, "" if order is None else order.algorithm):
            found = [one.unanswered_seconds for one in sections if one.unanswered_seconds is not None]
            if found and waited_ns > int(min(found) * _SECOND_NS):
                reason = (
                    f"nobody knows for {_seconds(waited_ns)} s whether the broker has order {order_id}; "
                    f"the limit is {text(min(found))} s"
                )
                step.halt(scope, "unanswered", reason, text(min(found)), _seconds(waited_ns))


def take_listened(step: Step, listened: Listened, after: HaltAfter) -> None:
    """Take what was seen of the feeds, the market-data server and the algorithms' heartbeats."""
    counted, now_ns = step.observed.counted, step.observed.monotonic_ns
    if counted.first_monotonic_ns is None or now_ns - counted.last_monotonic_ns > _GAP_NS:
        counted.first_monotonic_ns = now_ns
        counted.since = {key: at for key, at in counted.since.items() if key[0] == "unanswered"}
    counted.last_monotonic_ns = now_ns
    account = f"account:{step.account}"
    # Where no ingest is alive, the feeds that one had are lost. One that it does not name is not wanted.
    feeds = listened.feeds or dict.fromkeys(counted.feeds, False)
    for kind in counted.feeds - feeds.keys():
        for code in ("feed_lost", "updates_lost"):
            counted.since.pop((code, kind), None)
    counted.feeds = frozenset(feeds)
    for kind, connected in sorted(feeds.items()):
        if kind == "account":
            what, code, most_ns, on = "trade updates are", "updates_lost", after.updates_ns, True
        else:
            what, code, most_ns = f"the market data of {kind} are", "feed_lost", after.feed_ns
            on = kind == "crypto" or phase(step.now_ns) in ("pre_market", "regular", "after_hours")
        _lost(step, (code, kind), away=on and not connected, scope=account, what=what, most_ns=most_ns)
    _lost(
        step,
        ("market_data_lost", ""),
        away=not listened.market_data_readable,
        scope=account,
        what="the market-data server is",
        most_ns=after.market_data_ns,
    )
    if now_ns - counted.first_monotonic_ns >= after.alive_ns:
        _look_for_silent(step, listened.alive, after.silent_ns)
    day_loss.look(step, listened.prices)


def take_lifted(step: Step) -> None:
    """After a halt state was read: what somebody resumed begins anew."""
    read = step.state.halts_read
    for event in step.state.triggers.lifted(read):
        loss: dict[Market, Decimal] = {}
        if event.code == "day_loss":
            loss = day_loss.losses(step, event.scope) or {"shares": Decimal(event.value)}
        step.record(HaltLifted(scope=event.scope, code=event.code, loss=loss, at_ns=step.now_ns))
        counted = step.observed.counted
        counted.asked.discard(event.scope)
        counted.since.clear()
        counted.times.clear()


def _lost(step: Step, key: tuple[str, str], *, away: bool, scope: str, what: str, most_ns: int) -> None:
    """Count for how long something is away; the count ends where it is there, or need not be."""
    if not away:
        step.observed.counted.since.pop(key, None)
        return
    away_ns = _away_ns(step, *key)
    if away_ns >= most_ns:
        limit, value = _seconds(most_ns), _seconds(away_ns)
        step.halt(scope, key[0], f"{what} away for {value} s; the limit is {limit} s", limit, value)


def _look_for_silent(step: Step, alive: frozenset[str], most_ns: int) -> None:
    """Algorithms without a heartbeat that have open orders or positions, and did not say that they stop."""
    book = step.book
    for name in sorted(step.state.registered):
        scope, key = f"algorithm:{name}", ("silent", name)
        policy = _policy(step, name)
        exposed = book.open_count(name) > 0 or bool(book.ledger.holdings(name))
        away = policy != "nothing" and exposed and name not in alive | step.state.stopped
        was_halted = scope in step.state.halts.scopes
        _lost(step, key, away=away, scope=scope, what=f"heartbeats of {name} are", most_ns=most_ns)
        if policy == "cancel" and not was_halted and scope in step.state.halts.scopes:
            for order in list(book.open_orders()):
                if order.algorithm == name:
                    cancels.cancel(step, order)


def _policy(step: Step, name: str) -> str:
    limits = step.state.limits
    if limits is None:
        return "nothing"
    own = limits.algorithms.get(name)
    return (own.on_silence if own is not None else "") or limits.each_algorithm.on_silence or "nothing"


def _away_ns(step: Step, what: str, whose: str) -> int:
    now_ns = step.observed.monotonic_ns
    return now_ns - step.observed.counted.since.setdefault((what, whose), now_ns)


def _seconds(nanoseconds: int) -> str:
    """Seconds to a tenth, such as 30.2."""
    return text(Decimal(nanoseconds // 100_000_000) / 10)
