"""One feed's subscription: what is wanted, what Alpaca acknowledged or refuses, and what to ask next. Pure.

One request is under way at a time, of a bounded size, the oldest wants first. An acknowledgement carries the
whole subscription, so it is the truth. An error is about a request as a whole: what was asked is halved until
it is known what of it is refused, and everything else is subscribed. What is refused, and what an
acknowledgement leaves out, is set aside under its name, through reconnects too, and asked again now and then.
A request without an answer costs its connection: what it asked is asked after everything else from then on.
Times are a monotonic clock's, in nanoseconds.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from bus.symbols import canonical_symbol
from ingest.wants import SENT_WITH_TRADES, Subscription

# People report that of several thousand symbols in one message only some were subscribed to, and no error.
MOST_AT_ONCE = 1000

# After an error the next request waits so long: one that everything is refused to must not become a storm.
PAUSE_NS = 100_000_000

# What is refused is asked again after the first, then twice as long each time, up to the second.
AGAIN_NS, MOST_AGAIN_NS = 60_000_000_000, 960_000_000_000

# What is not answered costs everybody a connection, each time that it is asked.
UNANSWERED_AGAIN_NS = 4 * 3600 * 1_000_000_000

SYMBOL_LIMIT = 405

# A symbol counts once towards the plan's limit in these channels together; bars and the others have no limit.
_COUNTED_TOGETHER = ("trades", "quotes")

# A channel and a symbol.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A message to Alpaca: `action` is subscribe or unsubscribe."""

    action: str
    pairs: tuple[Pair, ...]

    def message(self) -> dict[str, object]:
        """The message as Alpaca reads it."""
        channels: dict[str, list[str]] = {}
        for channel, symbol in self.pairs:
            channels.setdefault(channel, []).append(_as_asked(channel, symbol))
        return {"action": self.action, **channels}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something wanted is not subscribed to: Alpaca's `code`, None where it gave none, in its words.

    It was refused so many `times` in a row, and is asked for again at `again_ns`.
    """

    code: int | None
    text: str
    times: int
    again_ns: int

    @property
    def sentence(self) -> str:
        """The reason, for people."""
        if self.code == SYMBOL_LIMIT:
            return f"it is beyond the plan's symbol limit ({self.code}: {self.text})"
        return f"Alpaca refused it ({self.code}: {self.text})" if self.code is not None else self.text


class SubscriptionState:
    """Wanted, acknowledged and refused, for one feed.

    Mutable: these, the request under way, and what is asked for after it, when, and how much of it at once.
    """

    def __init__(self) -> None:
        self.wanted: Subscription = {}
        self.acknowledged: Subscription = {}
        self.refused: dict[Pair, Refusal] = {}
        # In the order of their age: what a limit leaves no room for is the newest.
        self._wants: dict[Pair, None] = {}
        # What an acknowledgement still names after it was unsubscribed: when to try again.
        self._kept: dict[Pair, int] = {}
        self._is_connected = False
        self._under_way: Request | None = None
        self._asked_ns = 0
        self._paused_until_ns = 0
        self._at_most = MOST_AT_ONCE
        # Asked for without an answer, the last of them last: what of it is to blame is not known yet.
        self._doubted: dict[Pair, None] = {}
        self._doubted_at_most = MOST_AT_ONCE
        self._is_answered = False

    def __repr__(self) -> str:
        return f"{count(self.acknowledged)} of {count(self.wanted)} subscribed, {len(self.refused)} refused"

    @property
    def settled(self) -> bool:
        """Whether all that is wanted is either subscribed to or refused, on the connection as it is."""
        return self._is_connected and all(pair in self.refused for pair in self._missing())

    def want(self, wanted: Subscription) -> None:
        """Replace what is wanted. What is wanted anew has a new chance."""
        if wanted == self.wanted:
            return
        self.wanted = wanted
        now = _pairs(wanted)
        still = set(now)
        self._wants = {pair: None for pair in self._wants if pair in still} | dict.fromkeys(now)
        self.refused = {pair: refusal for pair, refusal in self.refused.items() if pair in still}
        self._doubted = {pair: None for pair in self._doubted if pair in still}

    def connected(self) -> None:
        """A new connection, on which nothing is subscribed to yet: there is room for all, in their order."""
        self._forget_the_limit()
        self.acknowledged = {}
        self._kept = {}
        self._under_way = None
        self._is_answered = False
        self._is_connected = True

    def disconnected(self) -> None:
        """The connection is gone, and every subscription with it; what is refused stays refused."""
        self.connected()
        self._is_connected = False

    def next_request(self, now_ns: int) -> Request | None:
        """What to send now; None while an answer is awaited or when nothing is missing."""
        if self._under_way is not None or not self._is_connected or now_ns < self._paused_until_ns:
            return None
        # Room is made before it is taken; new wants do not wait for those that were refused before.
        if surplus := [pair for pair in self._surplus() if self._kept.get(pair, 0) <= now_ns]:
            return self._begin("unsubscribe", (pair for pair in surplus if pair[0] == surplus[0][0]), now_ns)
        due = [
            pair
            for pair in self._missing()
            if pair not in self.refused or self.refused[pair].again_ns <= now_ns
        ]
        sound = [pair for pair in due if pair not in self._doubted]
        asked = [pair for pair in sound if pair not in self.refused] or sound
        if not asked:
            still = set(due)
            asked = [pair for pair in self._doubted if pair in still][: self._doubted_at_most]
        return self._begin("subscribe", asked, now_ns) if asked else None

    def pause_ns(self, now_ns: int) -> int:
        """How long nothing is asked, after an error."""
        return max(0, self._paused_until_ns - now_ns)

    def awaited_ns(self, now_ns: int) -> int:
        """For how long the answer to the request under way has been awaited; 0 while none is."""
        return now_ns - self._asked_ns if self._under_way is not None else 0

    def acknowledge(self, channels: Mapping[str, object], now_ns: int) -> None:
        """Alpaca's subscription message: the whole set as it is now."""
        before, counted = set(_pairs(self.acknowledged)), self._counted()
        self.acknowledged = {
            channel: frozenset(_as_told(channel, str(symbol)) for symbol in symbols)
            for channel, symbols in channels.items()
            if isinstance(symbols, list) and symbols and channel not in SENT_WITH_TRADES
        }
        has = set(_pairs(self.acknowledged))
        request, self._under_way = self._under_way, None
        self._is_answered = True
        self._at_most = min(self._at_most * 2, MOST_AT_ONCE)
        asked = request.pairs if request is not None and request.action == "subscribe" else ()
        given_back = request.pairs if request is not None and request.action == "unsubscribe" else ()
        if self._trust(asked):
            self._doubted_at_most = min(self._doubted_at_most * 2, MOST_AT_ONCE)
        for pair in given_back:
            if pair in has:
                self._kept[pair] = now_ns + AGAIN_NS
        for pair in has.intersection(self.refused):
            del self.refused[pair]
        if before - has:
            self._forget_the_limit()
        self._forget_the_limit(self._counted() - counted)
        for pair in {*asked, *before}.difference(given_back, has).intersection(self._wants):
            self._set_aside(pair, None, "Alpaca's acknowledgement leaves it out", now_ns)

    def refuse(self, code: int, text: str, now_ns: int) -> bool:
        """Alpaca answered the request under way with an error; False where none is under way.

        Half of the request is asked next, or the one pair that it was about is set aside.
        """
        request, self._under_way = self._under_way, None
        if request is None:
            return False
        self._is_answered = True
        self._trust(request.pairs)
        self._paused_until_ns = now_ns + PAUSE_NS
        self._at_most = max(1, len(request.pairs) // 2)
        if len(request.pairs) > 1:
            return True
        (pair,) = request.pairs
        if request.action == "unsubscribe":
            self._kept[pair] = now_ns + AGAIN_NS
        elif pair in self._wants:
            self._set_aside(pair, code, text, now_ns)
            if code == SYMBOL_LIMIT:
                self._apply_the_limit(pair[0], text, now_ns)
        return True

    def give_up(self, now_ns: int) -> None:
        """Alpaca does not answer the request under way; the connection is to be closed for it.

        One pair alone is to blame only where Alpaca answered something else on the same connection.
        """
        request, self._under_way = self._under_way, None
        if request is None or request.action == "unsubscribe":
            return
        self._trust(request.pairs)
        self._doubted |= dict.fromkeys(request.pairs)
        self._doubted_at_most = max(1, len(request.pairs) // 2)
        if len(request.pairs) == 1 and self._is_answered:
            (pair,) = request.pairs
            self._trust(request.pairs)
            if pair in self._wants:
                again_ns = now_ns + UNANSWERED_AGAIN_NS
                self.refused[pair] = Refusal(None, "Alpaca does not answer when asked for it", 1, again_ns)

    def _trust(self, pairs: Iterable[Pair]) -> bool:
        """These were answered, whatever the answer; whether any of them was doubted."""
        doubted = [pair for pair in pairs if pair in self._doubted]
        for pair in doubted:
            del self._doubted[pair]
        return bool(doubted)

    def _apply_the_limit(self, channel: str, text: str, now_ns: int) -> None:
        """Where one symbol more is too many, so is every other of this channel that does not count yet."""
        counted = self._counted() if channel in _COUNTED_TOGETHER else frozenset()
        for other in self._missing():
            if other[0] == channel and other[1] not in counted and other not in self.refused:
                self._set_aside(other, SYMBOL_LIMIT, text, now_ns)

    def _counted(self) -> frozenset[str]:
        return frozenset[str]().union(*(self.acknowledged.get(name, ()) for name in _COUNTED_TOGETHER))

    def _forget_the_limit(self, symbols: Container[str] | None = None) -> None:
        """What was beyond the limit, of these `symbols` or any, may have room: the oldest is asked first."""
        self.refused = {
            pair: refusal
            for pair, refusal in self.refused.items()
            if refusal.code != SYMBOL_LIMIT
            or not (symbols is None or (pair[1] in symbols and pair[0] in _COUNTED_TOGETHER))
        }

    def _set_aside(self, pair: Pair, code: int | None, text: str, now_ns: int) -> None:
        before = self.refused.get(pair)
        times = before.times + 1 if before is not None else 1
        again_ns = now_ns + min(AGAIN_NS << (times - 1), MOST_AGAIN_NS)
        self.refused[pair] = Refusal(code, text, times, again_ns)

    def _missing(self) -> list[Pair]:
        has = self.acknowledged
        return [pair for pair in self._wants if pair[1] not in has.get(pair[0], ())]

    def _surplus(self) -> Iterator[Pair]:
        return (pair for pair in _pairs(self.acknowledged) if pair not in self._wants)

    def _begin(self, action: str, pairs: Iterable[Pair], now_ns: int) -> Request:
        request = self._under_way = Request(action, tuple(pairs)[: self._at_most])
        self._asked_ns = now_ns
        return request


def count(subscription: Subscription) -> int:
    """How many pairs of channel and symbol a subscription has."""
    return sum(map(len, subscription.values()))


def _pairs(subscription: Subscription) -> tuple[Pair, ...]:
    return tuple(
        (channel, symbol)
        for channel in sorted(subscription, key=_turn)
        for symbol in sorted(subscription[channel])
    )


def _as_asked(channel: str, symbol: str) -> str:
    """A symbol as this channel writes it: news write BTCUSD where all others write BTC/USD."""
    return symbol.replace("/", "") if channel == "news" else symbol


def _as_told(channel: str, symbol: str) -> str:
    return canonical_symbol(symbol) if channel == "news" else symbol


def _turn(channel: str) -> tuple[bool, str]:
    """Where a channel stands in a request: quotes last, so that a plan's limit cuts them before trades."""
    return channel == "quotes", channel
