"""Why a market stream is not as it should be, in sentences for people. Pure."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bus.feed_kinds import OPTIONS, STOCKS
from bus.heartbeat import StateReason
from ingest.streams.subscription import SYMBOL_LIMIT, Pair, Refusal, SubscriptionState

WRONG_KEYS, CONNECTION_LIMIT, NOT_ENTITLED = 402, 406, 409

# Codes of the reasons for which Alpaca does not give a feed to keys that are right.
FEED_REFUSED = frozenset({"not_entitled", "connection_limit"})

# The feed of each kind that every plan includes.
_INSTEAD = {STOCKS: ": set BACKBONE_FEED=iex", OPTIONS: ": set BACKBONE_OPTIONS_FEED=indicative"}

# A sentence names so many at most.
MOST_NAMED = 20


class Had(Protocol):
    """A feed as it stands: connected or not, why not, and what of it is subscribed to."""

    live: bool
    trouble: StateReason | None
    subscription: SubscriptionState


def named(names: Sequence[str]) -> str:
    """These names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f"; and {more:,} more" if more > 0 else "")


def refusals(refused: Mapping[Pair, Refusal]) -> tuple[StateReason, ...]:
    """What is not subscribed to though it is wanted, by name, a reason for each kind."""
    channels: dict[tuple[str, str], list[str]] = {}
    for (channel, symbol), refusal in sorted(refused.items()):
        why = "" if refusal.code == SYMBOL_LIMIT else f": {refusal.sentence}"
        channels.setdefault((symbol, why), []).append(channel)
    limited = [f"{', '.join(some)} of {symbol}" for (symbol, why), some in channels.items() if not why]
    other = [f"{', '.join(some)} of {symbol}{why}" for (symbol, why), some in channels.items() if why]
    reasons = (
        StateReason("symbol_limit", f"beyond the plan's symbol limit, not subscribed: {named(limited)}"),
        StateReason("not_subscribed", f"not subscribed: {named(other)}"),
    )
    return tuple(reason for reason, names in zip(reasons, (limited, other), strict=True) if names)


def error_reason(kind: str, code: object, text: str, url: str) -> StateReason:
    """What an error message of the stream at `url`, a feed of this kind, means for who runs ingest."""
    if code == WRONG_KEYS:
        sentence = f"{url} refused the keys ({text}): check ALPACA_API_KEY and ALPACA_SECRET_KEY"
        return StateReason("keys_refused", sentence)
    if code == NOT_ENTITLED:
        sentence = (
            f"{url}: the plan of these keys does not include this feed ({text}){_INSTEAD.get(kind, '')}"
        )
        return StateReason("not_entitled", sentence)
    if code == CONNECTION_LIMIT:
        sentence = f"{url} allows one connection and somebody holds it ({text}): stop the other program"
        return StateReason("connection_limit", sentence)
    return StateReason("stream_error", f"{url} answered with error {code}: {text}")


def why_not_had(feed: Had) -> str:
    """Why nothing comes by a feed though something is wanted; "" while that is not so."""
    subscription = feed.subscription
    if not subscription.wanted:
        return ""
    if not feed.live:
        return feed.trouble.sentence if feed.trouble is not None else "it is not connected"
    refused = subscription.refused.values()
    if subscription.acknowledged or not refused or any(one.code != NOT_ENTITLED for one in refused):
        return ""
    return "the plan of these keys does not include it: every subscription is refused"
