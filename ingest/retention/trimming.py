"""Keeps market streams within their budget and their time: measures, decides, trims in small steps.

No lease guards it: the same cut made twice cuts once, and a server that is full grants no lease. Who serves a
market feed trims, or waits for a server that takes nothing.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

import structlog

from bus.clock import Clock
from bus.connection import Client
from bus.errors import ServerRefused
from bus.heartbeat import RetentionDetails, StateReason
from bus.outage import Outage
from bus.streams import HISTORY_STREAMS, MARKET_STREAMS, cuts, market_channel
from ingest.retention import retention
from ingest.retention.retention import Place, Policy, Span
from ingest.retention.retention_memory import policy_of, used_bytes
from ingest.retention.retention_report import Behind, Held, Losses, details, reasons
from ingest.retention.trim_scripts import FORGET, LOOK, REMOVE, TRIM
from ingest.settings import IngestSettings
from ingest.wants import SENT_WITH_TRADES, SNAPSHOTS, Demand

# How often memory is asked for. At 20,000 messages a second some 6 MB come in a second.
EVERY_S = 0.25

# How often every stream is looked at and what is too old is trimmed; a budget that is full is another
# occasion to look.
LOOK_EVERY_S = 30.0

# Streams to one script, entries that it takes of one stream at most, and after how many it turns to no
# further one: the server is busy for half a millisecond (measured on two busy cores), and then has others to
# serve.
AT_ONCE = 100
MOST_OF_ONE = 1000
MOST_OF_ALL = 2000

# Scripts on their way together, each over a connection of its own, so that the server has others' turns in
# between: while ingest is busy, each reply waits for its turn there, and one by one that is too slow
# (measured: 2,000 symbols at 15,000 messages a second on two busy cores filled the server up).
TOGETHER = 4

# What a node may hold where it is bounded by its bytes alone.
_LARGE_NODE = 10_000

# Between two scripts ingest has other things to do.
BREATH_S = 0.001

# The rate at which memory fills is taken over so many looks without a trim in between.
_SAMPLES = 240

_HISTORY = HISTORY_STREAMS.removesuffix("*")
_MARKET = tuple(pattern.removesuffix("*") for pattern in MARKET_STREAMS)

_Reply = list[Any]
_Item = TypeVar("_Item")

log = structlog.get_logger()


class Trimmer:
    """Trims the streams of one market-data server for as long as `may_trim` says so.

    Mutable: what was measured, how far the cut went, who holds it back and who lost what; by `follow`, which
    readers live and what is wanted.
    """

    def __init__(
        self, settings: IngestSettings, client: Client, clock: Clock, *, may_trim: Callable[[], bool]
    ) -> None:
        self.losses = Losses()
        self.trimmed: Counter[str] = Counter()
        self.removed = 0
        self.held: Held = {}
        self._held_in: set[str] = set()
        self._settings = settings
        self._client = client
        self._clock = clock
        self._may_trim = may_trim
        self._readers: Collection[str] = ()
        self._wanted: Collection[tuple[str, str]] | None = None
        self._policy: Policy | None = None
        self._used_bytes = 0
        self._spans: dict[str, Span] = {}
        self._history: list[str] = []
        self._looked_at_s = float("-inf")
        self._cut_ms = 0
        self._most_of_one = MOST_OF_ONE
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._not_done = Outage("market streams not trimmed")

    def __repr__(self) -> str:
        return f"{self._used_bytes} bytes held, {self.trimmed.total()} entries trimmed"

    def follow(self, readers: Collection[str], demand: Demand) -> None:
        """These readers (`<account>:<name>`) say that they live, and this is what they want."""
        self._readers = frozenset(readers)
        wanted = {pair for pairs in demand.readers.values() for pair in pairs}
        with_trades = {
            (sent, symbol) for channel, symbol in wanted if channel == "trades" for sent in SENT_WITH_TRADES
        }
        asked_for = {(SNAPSHOTS, symbol) for symbols in demand.snapshots.values() for symbol in symbols}
        self._wanted = wanted | with_trades | asked_for

    async def run(self) -> None:
        """Trim until cancelled; a server that is away is asked again."""
        while True:
            if self._may_trim():
                with self._not_done:
                    await self.step()
            await asyncio.sleep(EVERY_S)

    async def step(self) -> None:
        """Measure once, and trim what has to go. Raises ServerAway, ServerRefused."""
        rule = await self._measure()
        if self._now_s() - self._looked_at_s >= LOOK_EVERY_S:
            await self._look()
            await self._follow_nodes()
            await self._trim_old(rule)
            await self._remove_outdated(rule)
        await self._trim_to_budget(rule)

    @property
    def details(self) -> RetentionDetails | None:
        """For the heartbeat; None before anything was measured, and where another sees to it."""
        if self._policy is None or not self._may_trim():
            return None
        newest = max((span.last_ms for span in self._spans.values()), default=0)
        first = min((span.first_ms for span in self._spans.values()), default=0)
        # What stays of quiet streams, which keep their last entries, is no measure.
        old_ms = retention.time_cut_ms(self._policy, "trades", self._clock.now_ns() // 1_000_000)
        return details(
            self._policy,
            used_bytes=self._used_bytes,
            kept_from_ms=min(newest, max(first, self._cut_ms, old_ms)),
            streams=len(self._spans),
            trimmed=self.trimmed,
            removed=self.removed,
            full_in_s=retention.full_in_s(self._policy, self._samples),
            held=self.held,
            losses=self.losses,
        )

    @property
    def reasons(self) -> tuple[StateReason, ...]:
        """What somebody has to know: who holds the trim back, who was cut, and where nothing helps."""
        rule = self._policy
        if rule is None or not self._may_trim():
            return ()
        spent = (
            bool(rule.budget_bytes)
            and self._used_bytes > rule.budget_bytes
            and retention.is_spent(self._spans.values(), self._cut_ms)
        )
        return reasons(rule, self._used_bytes, self.held, self.losses, self._now_s(), spent=spent)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    async def _measure(self) -> Policy:
        memory = await self._client.info("memory")
        self._policy, self._used_bytes = policy_of(self._settings, memory), used_bytes(memory)
        self._samples.append((self._now_s(), self._used_bytes))
        return self._policy

    async def _look(self) -> None:
        """Look at every market stream; those of history, whose age is when they were touched, are left."""
        names = [name.decode() async for name in self._client.scan_iter(count=1000, _type="stream")]
        self._history = [name for name in names if name.startswith(_HISTORY)]
        parts = list(_by(AT_ONCE, [name for name in names if name.startswith(_MARKET)]))
        replies = await _together(lambda part: self._client.eval(LOOK, len(part), *part), parts)
        self._spans = {
            name: Span(_ms(found[1]), _ms(found[2]), found[0])
            for part, reply in zip(parts, replies, strict=True)
            for name, found in zip(part, reply, strict=True)
            if found
        }
        self._looked_at_s = self._now_s()

    async def _follow_nodes(self) -> None:
        """Streams are trimmed by whole nodes: no step may be shorter than one, or nothing would ever go."""
        try:
            (entries,) = (await self._client.config_get("stream-node-max-entries")).values()
        except (ServerRefused, ValueError):
            return  # Managed servers forbid CONFIG; theirs are as usual.
        self._most_of_one = max(MOST_OF_ONE, int(entries) or _LARGE_NODE)

    async def _trim_old(self, rule: Policy) -> None:
        """Take what is older than entries are kept, by channel."""
        now_ms = self._clock.now_ns() // 1_000_000

        def cut_ms(stream: str) -> int:
            return retention.time_cut_ms(rule, market_channel(stream), now_ms)

        await self._trim(rule, cut_ms)
        await self._forget(round(rule.hours * 3600))

    async def _trim_to_budget(self, rule: Policy) -> None:
        """Move the cut on, step by step, until the server holds no more than it is to."""
        if not rule.budget_bytes or self._used_bytes <= rule.budget_bytes:
            return
        await self._look()
        if self._history:
            await self._forget(retention.HISTORY_UNTOUCHED_S)
            rule = await self._measure()
        began, in_vain = False, 0
        while True:
            cut_ms = retention.budget_cut_ms(
                rule,
                self._used_bytes,
                self._spans.values(),
                self._cut_ms,
                held=[self._spans[stream] for stream in self._held_in if stream in self._spans],
                began=began,
                in_vain=in_vain,
            )
            if cut_ms == self._cut_ms:
                break
            began, self._cut_ms, trimmed = True, cut_ms, self.trimmed.total()
            await self._trim(rule, lambda _: self._cut_ms)
            in_vain = in_vain + 1 if self.trimmed.total() == trimmed else 0
            rule = await self._measure()
        self._samples.clear()

    async def _trim(self, rule: Policy, cut_ms: Callable[[str], int]) -> None:
        """Take from every stream what is older than its cut, except what a reader holds back.

        The newest node of a stream stays always: its last id tells where the stream stood.
        """
        waiting = deque(
            (stream, f"{min(cut_ms(stream), span.last_ms)}-0")
            for stream, span in self._spans.items()
            if span.first_ms < min(cut_ms(stream), span.last_ms)
        )
        held: dict[str, Behind] = {}
        held_in: set[str] = set()
        while waiting:
            some = [waiting.popleft() for _ in range(min(AT_ONCE * TOGETHER, len(waiting)))]
            answers = await _together(self._run, list(_by(AT_ONCE, some)))
            for (stream, kept_from), answer in zip(some, chain.from_iterable(answers), strict=True):
                if isinstance(answer, list):
                    places = [
                        Place(group.decode(), next_id.decode(), idle) for group, next_id, idle in answer
                    ]
                    if await self._trim_behind(rule, stream, kept_from, places, held):
                        held_in.add(stream)
                elif answer < 0 or answer >= self._most_of_one // 2:
                    waiting.append((stream, kept_from))
            await asyncio.sleep(BREATH_S)
        self._hold(held, held_in)

    async def _trim_behind(
        self,
        rule: Policy,
        stream: str,
        cut_id: str,
        places: Sequence[Place],
        held: dict[str, Behind],
    ) -> bool:
        """Trim a stream in which groups stand behind the cut; whether live ones, noted in `held`, keep it."""
        sparing = retention.spares(rule, self._used_bytes)
        kept_from = retention.kept_from(cut_id, places, self._readers, sparing=sparing)
        if kept_from != cut_id:
            for place in places:
                if retention.is_alive(place, self._readers):
                    held.setdefault(place.reader, (stream, place.next_id))
        groups = [place.group for place in places]
        while True:
            (answer,) = await self._run([(stream, kept_from)], groups)
            if not isinstance(answer, list):
                gone = answer
            elif isinstance(answer[0], int):
                gone, losses = answer
                for group, lost, idle in losses:
                    place = Place(group.decode(), kept_from, idle)
                    alive = retention.is_alive(place, self._readers)
                    self.losses.add(place.reader, lost, self._now_s() if alive else None)
            else:
                gone = 0  # Another group stands behind by now: the next time.
            if gone < self._most_of_one // 2:
                return kept_from != cut_id
            await asyncio.sleep(BREATH_S)

    async def _run(self, streams: Sequence[tuple[str, str]], groups: Sequence[str] = ()) -> _Reply:
        names = [stream for stream, _ in streams]
        keys = [*names, *map(cuts, groups)]
        kept = [kept_from for _, kept_from in streams]
        arguments = [len(names), self._most_of_one, MOST_OF_ALL, *kept, *groups]
        answers: _Reply = await self._client.eval(TRIM, len(keys), *keys, *arguments)
        for (stream, kept_from), answer in zip(streams, answers, strict=True):
            gone = answer[0] if isinstance(answer, list) else answer
            if isinstance(gone, int) and gone > 0:
                span = self._spans[stream]
                first_ms = max(span.first_ms, _ms(kept_from.encode()))
                self._spans[stream] = Span(first_ms, span.last_ms, max(0, span.length - gone))
                self.trimmed[stream] += gone
        return answers

    async def _forget(self, untouched_s: int) -> None:
        for some in _by(AT_ONCE, self._history):
            gone: _Reply = await self._client.eval(FORGET, len(some), *some, untouched_s)
            for name, went in zip(some, gone, strict=True):
                if went:
                    self.removed += 1
                    log.info("backfilled stream removed: nobody touched it", stream=name, seconds=untouched_s)

    async def _remove_outdated(self, rule: Policy) -> None:
        """Take streams away whole that are wanted no more, with groups that nobody used for very long."""
        if self._wanted is None:
            return  # The orders server has not been heard yet: anything may be wanted.
        now_ms = self._clock.now_ns() // 1_000_000
        for stream in retention.outdated(rule, self._spans, self._wanted, now_ms):
            groups = [group["name"].decode() for group in await self._client.xinfo_groups(stream)]
            about = await self._client.xinfo_stream(stream)
            keys = [stream, *map(cuts, groups)]
            last_id = about["last-generated-id"]
            if await self._client.eval(REMOVE, len(keys), *keys, last_id, retention.GROUP_UNUSED_MS, *groups):
                self.removed += 1
                self._spans.pop(stream, None)
                log.info("market stream removed: nobody wants it, all in it is old", stream=stream)
            await asyncio.sleep(BREATH_S)

    def _hold(self, held: Held, held_in: set[str]) -> None:
        for reader in held.keys() - self.held.keys():
            stream, next_id = held[reader]
            log.error("a reader is behind: its entries are kept", reader=reader, stream=stream, since=next_id)
        self.held, self._held_in = held, held_in


def _ms(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])


def _by(count: int, items: Sequence[_Item]) -> Iterable[Sequence[_Item]]:
    return (items[start : start + count] for start in range(0, len(items), count))


async def _together(
    ask: Callable[[Sequence[_Item]], Awaitable[_Reply]], parts: Sequence[Sequence[_Item]]
) -> list[_Reply]:
    """The answer to each part, some of them under way at a time."""
    replies: list[_Reply] = []
    for some in _by(TOGETHER, parts):
        replies += await asyncio.gather(*(ask(part) for part in some))
    return replies
