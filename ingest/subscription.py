"""One feed's subscription: what is wanted, what Alpaca has acknowledged, and the next message between. Pure.

One request is under way at a time. An acknowledgement carries the whole subscription, so it is the truth.
A request beyond the plan's symbol limit is refused as a whole: it is cut in half until what fits is
subscribed and what does not is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.wants import SENT_WITH_TRADES, Subscription, difference

# An acknowledgement that takes longer is not waited for: the next request carries what is missing.
ANSWER_WITHIN_NS = 10_000_000_000

_UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True)
class Request:
    """A message to Alpaca: `action` is subscribe or unsubscribe, `pairs` are (channel, symbol)."""

    action: str
    pairs: tuple[tuple[str, str], ...]

    def message(self) -> dict[str, object]:
        """The message as Alpaca reads it."""
        channels: dict[str, list[str]] = {}
        for channel, symbol in self.pairs:
            channels.setdefault(channel, []).append(symbol)
        return {"action": self.action, **channels}


class SubscriptionState:
    """Wanted, acknowledged and refused, for one feed. Mutable: these, and the request under way."""

    def __init__(self) -> None:
        self.wanted: Subscription = {}
        self.acknowledged: Subscription = {}
        self.refused: set[tuple[str, str]] = set()
        self._under_way: Request | None = None
        self._asked_ns = 0
        self._at_most = _UNLIMITED

    def __repr__(self) -> str:
        return f"{count(self.acknowledged)} of {count(self.wanted)} subscribed, {len(self.refused)} refused"

    @property
    def allowed(self) -> Subscription:
        """What is wanted without what Alpaca refused."""
        return {
            channel: rest
            for channel, symbols in self.wanted.items()
            if (rest := frozenset(symbol for symbol in symbols if (channel, symbol) not in self.refused))
        }

    def want(self, wanted: Subscription) -> None:
        """Replace what is wanted. A change is a new chance for what was refused."""
        if wanted != self.wanted:
            self.wanted = wanted
            self.refused.clear()

    def connected(self, now_ns: int) -> None:
        """A new connection, on which everything allowed is being subscribed to in one request."""
        self.refused.clear()
        self.acknowledged = {}
        self._at_most = _UNLIMITED
        self._begin(Request("subscribe", _pairs(self.wanted)), now_ns)

    def disconnected(self) -> None:
        """The connection is gone, and every subscription with it."""
        self.acknowledged = {}
        self._under_way = None

    def next_request(self, now_ns: int) -> Request | None:
        """What to send now; None while an answer is awaited or when nothing is missing."""
        if self._under_way is not None and now_ns - self._asked_ns < ANSWER_WITHIN_NS:
            return None
        change = difference(self.allowed, self.acknowledged)
        # Room is made before it is taken.
        for channel, symbols in sorted(change.remove.items()):
            return self._begin(Request("unsubscribe", _pairs({channel: symbols})), now_ns)
        if change.add:
            return self._begin(Request("subscribe", _pairs(change.add)[: self._at_most]), now_ns)
        self._under_way = None
        return None

    def acknowledge(self, channels: Mapping[str, object]) -> None:
        """Alpaca's subscription message: the whole set as it is now."""
        self.acknowledged = {
            channel: frozenset(map(str, symbols))
            for channel, symbols in channels.items()
            if isinstance(symbols, list) and symbols and channel not in SENT_WITH_TRADES
        }
        self._under_way = None
        self._at_most = min(self._at_most * 2, _UNLIMITED)

    def refuse(self) -> None:
        """Alpaca refused the request under way as beyond the plan's symbol limit."""
        request, self._under_way = self._under_way, None
        if request is None or request.action != "subscribe":
            return
        if len(request.pairs) == 1:
            self.refused.add(request.pairs[0])
        self._at_most = max(1, len(request.pairs) // 2)

    def _begin(self, request: Request, now_ns: int) -> Request:
        self._under_way = request if request.pairs else None
        self._asked_ns = now_ns
        return request


def count(subscription: Subscription) -> int:
    """How many pairs of channel and symbol a subscription has."""
    return sum(map(len, subscription.values()))


def _pairs(subscription: Subscription) -> tuple[tuple[str, str], ...]:
    return tuple(
        (channel, symbol)
        for channel in sorted(subscription, key=_turn)
        for symbol in sorted(subscription[channel])
    )


def _turn(channel: str) -> tuple[bool, str]:
    """Where a channel stands in a request: quotes last, so that a plan's limit cuts them before trades."""
    return channel == "quotes", channel
