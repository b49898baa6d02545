"""Fills gaps: what a stream missed is asked of history and written before what comes live, or beside it.

The writer of a feed alone writes what is found, between two frames: a second writer would break the way in
which a batch whose reply was lost is found again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import structlog

from bus.clock import Clock
from bus.errors import ServerAway, ServerRefused
from bus.feed_kinds import REST
from bus.heartbeat import StateReason
from bus.market_batch import MarketBatch
from bus.market_messages import GapClosed
from bus.retry import until_answered, waits_s
from bus.streams import market_parts
from bus.symbols import is_option
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Resumed, Turn
from ingest.data_api.alpaca_data import DataUnreachable, NotGiven
from ingest.gaps import gap_entries
from ingest.gaps.asking import History, asked
from ingest.gaps.gap_fill import (
    CHANNELS,
    SETTLED_NS,
    Hole,
    StreamFill,
    batches,
    latest_of,
    missed_until_ns,
)
from ingest.gaps.gap_group import Group, beside, grouped
from ingest.gaps.held_back import HeldBack
from ingest.gaps.open_gaps import OpenGaps

# While live messages are held back, history is asked again after waits that grow from one to the other.
FIRST_ASK_S, LAST_ASK_S = 0.1, 0.5

# And so where it is not to be had.
FIRST_AGAIN_S, LAST_AGAIN_S = 1.0, 300.0

# A gap that an earlier run left is filled so long after the start, unless the same gap goes on by then.
LEFT_OPEN_AFTER_S = 5.0

# How long the end waits for what is held back to be written.
LEAVE_S = 2.0

# Refusals that may be about one symbol among many.
_ABOUT_A_SYMBOL = (400, 404, 422)

log = structlog.get_logger()


class GapFiller:
    """The gaps of one feed, from where it is carried again until they are closed.

    Live messages of a stream are held back for `hold_s` at most while history is asked; what takes longer
    goes to a stream of its own, which GapClosed names. A gap older than `longest_ns` is closed unfilled.
    Mutable: `first`, the symbols whose gaps are filled first; what is held back; what an earlier run left;
    until when history is asked; why gaps are open; counts.
    """

    def __init__(
        self,
        feed: str,
        source: History,
        kept: OpenGaps,
        buffer: Buffer[Item],
        clock: Clock,
        *,
        hold_s: float,
        longest_ns: int,
        bar_ns: int,
    ) -> None:
        self.first: frozenset[str] = frozenset()
        self.held: HeldBack[Group] = HeldBack(feed)
        self.backfilled = 0
        self._feed = feed
        self._source = source
        self._kept = kept
        self._buffer = buffer
        self._clock = clock
        self._hold_s = hold_s
        self._longest_ns = longest_ns
        self._bar_ns = bar_ns
        self._began_ns = clock.now_ns()
        self._groups: asyncio.Queue[tuple[Group, float]] = asyncio.Queue()
        # Those that an earlier run left; by stream until when what it missed is filled by an open gap.
        self._left_open: list[Hole] = []
        self._is_read = asyncio.Event()
        self._asked_to: dict[str, int] = {}
        # Why gaps are open still, by stream.
        self._open: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<gaps of {self._feed}: {self.held!r}, {len(self._open)} streams not filled>"

    @property
    def reasons(self) -> tuple[StateReason, ...]:
        """What is missing and cannot be had now."""
        if not self._open:
            return ()
        stream, why = next(iter(self._open.items()))
        others = f" and {len(self._open) - 1:,} more streams" if len(self._open) > 1 else ""
        return (StateReason("gap_open", f"what {stream}{others} missed is asked for again: {why}"),)

    async def resume(self, resumed: Resumed) -> list[MarketBatch]:
        """Begin to fill these gaps, once all before them is written; returns what is to be written now.

        A gap of which there is no history is closed at once. Any other is kept before a message is written
        behind it: from then on what is missing cannot be told from the stream's end any more. While a feed is
        only polled nothing is filled: it misses more all the time.
        """
        if self._feed == REST:
            return []
        missed: dict[str, int] = {}
        lost: dict[str, int] = {}
        for stream, since_ns in resumed.since_ns.items():
            symbol, channel = market_parts(stream)
            is_had = channel in CHANNELS and symbol != "*" and not is_option(symbol) and self._feed != "test"
            is_recent = resumed.until_ns - since_ns <= self._longest_ns
            (missed if is_had and is_recent else lost)[stream] = since_ns
        await self._is_read.wait()
        await self._answered(partial(self._kept.remove, self._superseded(missed)))
        before = await self._answered(partial(self._kept.last_messages, missed))
        holes = {one: self._hole(one, missed[one], resumed.until_ns, before.get(one, [])) for one in missed}
        await self._answered(partial(self._kept.add, list(holes.values())))
        deadline = asyncio.get_running_loop().time() + self._hold_s
        for group in grouped(missed, resumed.until_ns, self.first):
            for stream in group.since_ns:
                group.fills[stream] = StreamFill(holes[stream], before.get(stream, []), self._bar_ns)
                self._asked_to[stream] = self._asked_to_ns(group)
            if self._hold_s:
                self.held.begin(group.since_ns, group)
            self._groups.put_nowait((group, deadline))
        return self._closed({one: self._marker(since, resumed.until_ns) for one, since in lost.items()})

    def _hole(self, stream: str, since_ns: int, until_ns: int, before: Iterable[Mapping[str, Any]]) -> Hole:
        symbol, channel = market_parts(stream)
        # What came meanwhile, of a feed that stood in, is there, and not all that there was.
        last_ns = min(since_ns, max((message["t"] for message in before), default=since_ns))
        return Hole(
            stream=stream,
            symbol=symbol,
            channel=channel,
            since_ns=since_ns,
            until_ns=until_ns,
            after_ns=last_ns,
            earlier_ns=self._asked_to.get(stream, 0),
        )

    def _superseded(self, since_ns: Mapping[str, int]) -> list[Hole]:
        """Gaps that an earlier run left, behind which it wrote nothing: the same gap goes on, and is one."""
        found = [one for one in self._left_open if since_ns.get(one.stream) == one.since_ns]
        self._left_open = [one for one in self._left_open if one not in found]
        for hole in found:
            self._asked_to.pop(hole.stream, None)
        return found

    async def lost(self, carried: Collection[str], reason: str) -> tuple[MarketBatch, Resumed]:
        """What was received is lost: gaps in what is carried, from each stream's last entry on.

        Returns the markers to be written, and what is to be resumed once they are.
        """
        left_off = await self._answered(partial(self._kept.left_off, list(carried)))
        now_ns = self._clock.now_ns()
        since_ns = {stream: min(left_off.get(stream, self._began_ns), now_ns) for stream in carried}
        log.error("market data lost", feed=self._feed, reason=reason, streams=len(since_ns))
        opened = gap_entries.opened(since_ns, feed=self._feed, at_ns=now_ns, reason=reason)
        return opened, Resumed(since_ns, now_ns)

    async def run(self) -> None:
        """Fill what is resumed, and what an earlier run left open, until cancelled.

        Without a stream that is left to the next one, from its own history.
        """
        left_open = [] if self._feed == REST else await self._answered(self._kept.read)
        async with asyncio.TaskGroup() as tasks:
            self._left_open = left_open
            self._asked_to |= {one.stream: self._asked_to_ns(one) for one in left_open}
            self._is_read.set()
            tasks.create_task(self._fill_left_open())
            while True:
                tasks.create_task(self._fill_before_live(*await self._groups.get()))

    async def leave(self) -> None:
        """At the end: what is held back is written; what it was held for is kept for the next run."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._turn(lambda: self.held.released(self.held.streams))

    async def _fill_before_live(self, group: Group, deadline: float) -> None:
        why = f"history did not reach to what came live within {self._hold_s:g} s"
        closed: list[Hole] = []
        try:
            async with asyncio.timeout_at(deadline):
                for wait_s in waits_s(FIRST_ASK_S, LAST_ASK_S):
                    # Not by our clock alone: where it is slow, what came live says more.
                    asked_ns = max(self._clock.now_ns(), self.held.newest_ns)
                    try:
                        async for _ in asked(self._source, group, asked_ns, self._clock):
                            pass
                        await self._turn(partial(self._fill_held, group, asked_ns, closed))
                    except DataUnreachable as error:
                        why = str(error)
                    await self._forget(closed)
                    if not group.fills:
                        return
                    await asyncio.sleep(wait_s)
        except TimeoutError:
            pass
        except NotGiven as error:
            if error.code in _ABOUT_A_SYMBOL and len(group.fills) > 1:
                halves = (self._fill_before_live(half, deadline) for half in self._halved(group))
                await asyncio.gather(*halves)
                return
            why = str(error)
        await self._turn(partial(self._go_on, group))
        # The turn before may have come to its end only now.
        await self._forget(closed)
        await self._fill_beside(group, why)

    async def _forget(self, closed: list[Hole]) -> None:
        """These are closed, and need not be kept any more."""
        some = closed.copy()
        await self._answered(partial(self._kept.remove, some))
        del closed[: len(some)]

    async def _fill_left_open(self) -> None:
        """Fill what an earlier run left open and this one does not go on with."""
        await asyncio.sleep(LEFT_OPEN_AFTER_S)
        left, self._left_open = self._left_open, []
        async with asyncio.TaskGroup() as tasks:
            for hole in left:
                group = Group(hole.channel, {hole.stream: hole.since_ns}, hole.until_ns)
                around = await self._answered(
                    partial(self._kept.messages_around, hole, self._asked_to_ns(group))
                )
                group.fills[hole.stream] = StreamFill(hole, around, self._bar_ns)
                tasks.create_task(self._fill_beside(group, "an earlier run did not get it"))

    async def _fill_beside(self, group: Group, why: str) -> None:
        """Fill into streams of their own, whenever history is to be had; then close the gaps."""
        if not group.fills:
            return
        log.warning("gaps not filled yet", feed=self._feed, gaps=len(group.fills), error=why)
        until_ns = self._asked_to_ns(group)
        await asyncio.sleep((until_ns + SETTLED_NS - self._clock.now_ns()) / 1e9)
        is_had = False
        for wait_s in waits_s(FIRST_AGAIN_S, LAST_AGAIN_S):
            self._open |= dict.fromkeys(group.fills, why)
            if self._clock.now_ns() - group.until_ns > self._longest_ns:
                break
            for fill in group.fills.values():
                # An earlier run may have begun, or this one before it was asked to wait.
                fill.is_beside(await self._answered(partial(self._kept.messages_beside, fill.hole)))
            try:
                async for _ in asked(self._source, group, until_ns, self._clock):
                    await self._write_missed_beside(group, until_ns)
                # What was found while live messages waited, where there was nothing more to be found.
                await self._write_missed_beside(group, until_ns)
                is_had = True
                break
            except NotGiven as error:
                if error.code in _ABOUT_A_SYMBOL and len(group.fills) > 1:
                    halves = (self._fill_beside(half, str(error)) for half in self._halved(group))
                    await asyncio.gather(*halves)
                    return
                why = str(error)
            except DataUnreachable as error:
                why = str(error)
            await asyncio.sleep(wait_s)
        await self._turn(partial(self._close_beside, group, is_had))
        await self._forget([fill.hole for fill in group.fills.values()])
        self._are_closed(fill.hole for fill in group.fills.values())
        for stream in group.fills:
            self._open.pop(stream, None)

    async def _write_missed_beside(self, group: Group, until_ns: int) -> None:
        """Write what was found, but for what came live by now: told late, or while history was not given."""
        await self._turn(partial(self._note_held, group))
        for fill in group.fills.values():
            fill.came_live(await self._answered(partial(self._kept.messages_around, fill.hole, until_ns)))
        await self._turn(partial(self._write_beside, group))

    def _are_closed(self, holes: Iterable[Hole]) -> None:
        """What later gaps miss is not filled by these any more."""
        for hole in holes:
            if self._asked_to.get(hole.stream, 0) <= self._asked_to_ns(hole):
                self._asked_to[hole.stream] = hole.earlier_ns

    def _asked_to_ns(self, gap: Group | Hole) -> int:
        """Until when history is asked for what was not filled at once."""
        waited_ns = gap.until_ns + round(self._hold_s * 1e9)
        return max(waited_ns, gap.live_ns) if isinstance(gap, Group) else waited_ns

    def _halved(self, group: Group) -> list[Group]:
        """The same in two groups: one symbol is refused, and the others are to be had."""
        streams = list(group.fills)
        halves: list[Group] = []
        for some in (streams[: len(streams) // 2], streams[len(streams) // 2 :]):
            half = Group(group.channel, {one: group.since_ns[one] for one in some}, group.until_ns)
            half.fills = {one: group.fills[one] for one in some}
            self.held.hand_over(some, group, half)
            halves.append(half)
        return halves

    # In the writer's turn.

    async def _turn(self, write: Callable[[], Iterable[MarketBatch]]) -> None:
        written = asyncio.Event()
        self._buffer.add(Turn(write, written.set), 0)
        await written.wait()

    def _fill_held(self, group: Group, asked_ns: int, closed: list[Hole]) -> Iterable[MarketBatch]:
        """Of streams that are complete: what they missed, that they are whole, and what was held back."""
        complete: list[str] = []
        found: list[tuple[str, Mapping[str, Any]]] = []
        markers: dict[str, GapClosed] = {}
        live = self.held.live(group.fills)
        for stream, fill in group.fills.items():
            is_held = self.held.by(stream) is group
            if is_held and fill.is_complete(latest_of(live[stream]), asked_ns):
                fill.came_live(live[stream])
                missed = fill.taken_out(missed_until_ns(fill.hole, live[stream], asked_ns))
                found += ((stream, message) for message in missed)
                markers[stream] = self._marker(fill.hole.since_ns, group.until_ns, backfilled=len(missed))
                complete.append(stream)
        holes = [group.fills.pop(stream).hole for stream in complete]
        self._are_closed(holes)
        closed += holes
        self.backfilled += len(found)
        yield from batches(found, self._clock.now_ns(), self._feed, self._bar_ns)
        yield from self._closed(markers)
        yield from self.held.released(complete)

    def _go_on(self, group: Group) -> Iterable[MarketBatch]:
        """What was held back is written; what is missing will be written elsewhere."""
        group.live_ns = self.held.newest_ns
        return self.held.released([stream for stream in group.fills if self.held.by(stream) is group])

    def _note_held(self, group: Group) -> Iterable[MarketBatch]:
        for stream, messages in self.held.live(group.fills).items():
            group.fills[stream].came_live(messages)
        return ()

    def _write_beside(self, group: Group) -> Iterable[MarketBatch]:
        found = [
            (beside(fill.hole), message)
            for fill in group.fills.values()
            for message in fill.taken_out(self._asked_to_ns(group))
        ]
        self.backfilled += len(found)
        return batches(found, self._clock.now_ns(), self._feed, self._bar_ns)

    def _close_beside(self, group: Group, is_had: bool) -> Iterable[MarketBatch]:
        markers = {
            stream: self._marker(
                fill.hole.since_ns,
                group.until_ns,
                backfilled=fill.written if is_had else None,
                beside=beside(fill.hole) if fill.written else "",
            )
            for stream, fill in group.fills.items()
        }
        return self._closed(markers)

    def _marker(
        self, since_ns: int, until_ns: int, *, backfilled: int | None = None, beside: str = ""
    ) -> GapClosed:
        return GapClosed(
            feed=self._feed, since_ns=since_ns, until_ns=until_ns, backfilled=backfilled, history=beside
        )

    def _closed(self, markers: Mapping[str, GapClosed]) -> list[MarketBatch]:
        return [gap_entries.closed(markers, feed=self._feed, at_ns=self._clock.now_ns())] if markers else []

    async def _answered(self, question: Callable[[], Any]) -> Any:
        """What the market-data server answers, whenever it does."""
        return await until_answered(
            question, stopping=None, tell=self._not_answered, away=(ServerAway, ServerRefused)
        )

    def _not_answered(self, trouble: str) -> None:
        log.warning("gaps not looked at", feed=self._feed, error=trouble)
