"""A buffer that goes on on disk: what a server does not take is spooled, and comes back in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from bus.outage import Outage
from ingest.buffer import Buffer
from ingest.spool.spool import SEGMENT_BYTES, Held, Spool
from ingest.spool.spool_records import Damaged

# How often it is looked whether anything has to go to disk: this, and the time of one append, is what a kill
# may cost of what came last.
LOOK_S = 0.05

# A directory that did not take what it was given is tried again after so many looks.
LOOKS_BETWEEN_TRIES = 20

# Items written, and bytes read, in one piece: some milliseconds of the thread that does it.
MOST_ITEMS = 10_000
CHUNK_BYTES = 1024 * 1024

# A spool has so many segments at least, so that room comes back bit by bit.
_SEGMENTS = 16

T = TypeVar("T")

log = structlog.get_logger()


class Codec(Protocol[T]):
    """Items as records and back. The first four are called in the spool's thread."""

    def left(self, found: bytes | Damaged) -> None:
        """A record that an earlier process left."""

    def copied(self, in_flight: Iterable[Any]) -> list[bytes]:
        """The records of what the writer holds."""

    def encoded(self, items: Iterable[T], used: float) -> list[bytes]:
        """The records of these; what only asks for something has none.

        `used` is the part of the spool that is in use: whoever may drop does it by that. Raises OSError where
        there is no room and nothing may be dropped.
        """

    def decoded(self, records: Iterable[bytes | Damaged]) -> list[T]:
        """The items of these records; what cannot be read is kept aside."""

    def noted(self, used: float) -> None:
        """What was encoded is on disk, or something was removed there. Called in the loop."""


class SpooledBuffer(Buffer[T]):
    """A Buffer whose items go to disk once the oldest has waited for `after_s`, or memory is half full.

    From then on all that arrives goes behind what is on disk, until that is written. What the writer holds
    at that moment (`in_flight`) goes first, so that all is on disk that the server may lack. A record stays
    until the writer has confirmed it; `asking` has the item, where there is one, that lets it do so. A
    directory that does not do its part is told in `failing`, and this is what a Buffer is: full when memory
    is. What an earlier process left comes first, as far as it is `unwritten`; `prepare` may see to the
    directory before it is opened, and raises OSError as all that is done with it. A thread of its own does
    that, one step at a time. Mutable: as of a Buffer; the spool; `recovered`, how many items of an earlier
    process were given.
    """

    def __init__(
        self,
        bound_bytes: int,
        directory: Path,
        codec: Codec[T],
        in_flight: Callable[[], Sequence[Any]],
        unwritten: Callable[[Sequence[T]], Awaitable[list[T]]],
        *,
        most_bytes: int,
        after_s: float,
        asking: tuple[T, ...] = (),
        is_durable: bool = False,
        prepare: Callable[[Path], None] = lambda directory: None,
    ) -> None:
        super().__init__(bound_bytes)
        self.failing = Outage("spool not usable: what waits stays in memory", directory=str(directory))
        self.recovered = 0
        self._directory = directory
        self._codec = codec
        self._in_flight = in_flight
        self._unwritten = unwritten
        self._most_bytes = most_bytes
        self._after_looks = round(after_s / LOOK_S)
        self._asking = asking
        self._is_durable = is_durable
        self._prepare = prepare
        # The thread's: here it is only known whether there is one, and what it held after each step.
        self._spool: Spool | None = None
        self._held = Held()
        # Records of an earlier process that are not read yet.
        self._left = 0
        self._thread: ThreadPoolExecutor | None = None
        # Read from disk and not taken; whether the writer was asked, and has confirmed all that it took.
        self._read: deque[T] = deque()
        self._is_asked, self._is_confirmed = True, False
        self._spilling: asyncio.Future[None] | None = None
        self._looks_until_try = 0
        # What has waited longest, and for how many looks.
        self._head: Any = None
        self._looks_at_head = 0

    def __len__(self) -> int:
        return len(self._items) + len(self._read) + self.disk_unread

    @property
    def next_item(self) -> T | None:
        """As of a Buffer; what was read from the disk is at hand too."""
        return self._read[0] if self._read else super().next_item

    @property
    def disk_unread(self) -> int:
        """Records on disk that are not in memory too."""
        return self._held.unread

    @property
    def disk_items(self) -> int:
        """Records on disk that the server may lack."""
        return self._held.unconfirmed

    @property
    def disk_bytes(self) -> int:
        """What the spool takes on disk."""
        return self._held.size_bytes

    @property
    def _used(self) -> float:
        """The part of the spool that is in use."""
        return self.disk_bytes / self._most_bytes

    async def open(self) -> None:
        """Take the directory; what an earlier process left in it is given before anything else."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        try:
            await self._in_thread(self._open)
        except OSError as error:
            self._fails(error)
            return
        self.failing.ended()
        self._is_behind = self.disk_bytes > 0
        self._left = self.disk_unread

    async def run(self) -> None:
        """Put on disk what waits too long, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._looks_until_try:
                self._looks_until_try -= 1
            elif self._spool is None:
                await self.open()
            elif self._must_spill():
                self._spilling = asyncio.ensure_future(self._spill())
                # Ended in the middle, nobody would know what is on disk.
                await asyncio.shield(self._spilling)
            elif self._is_behind and self._held.is_read:
                # Where the writer could not confirm it when it was asked, as it held something back.
                self._is_asked = False
                self._arrived.set()

    async def close(self, *, keep: bool) -> None:
        """Let go of the directory. `keep`: what waits in memory or is in flight goes to disk first."""
        if self._spilling is not None:
            await asyncio.gather(self._spilling, return_exceptions=True)
        if self._spool is not None:
            if keep and (self._items or (not self._is_behind and self._in_flight())):
                await self._spill()
            await self._in_thread(self._close)
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def confirm(self) -> None:
        """Everything that was taken is written."""
        if self._is_behind and not self._read:
            self._is_confirmed = True

    async def _older(self) -> list[T]:
        if self._read:
            return [self._read.popleft()]
        if self._is_behind and self._spool is not None:
            if self._is_confirmed:
                await self._note_confirmed()
                return []
            if self._asking and not self._is_asked:
                self._is_asked = True
                return list(self._asking)
            if not self._held.is_read:
                await self._load()
                return []
        return await super()._older()

    def _open(self) -> None:
        self._prepare(self._directory)
        self._spool = Spool(
            self._directory,
            each=self._codec.left,
            segment_bytes=min(SEGMENT_BYTES, self._most_bytes // _SEGMENTS),
            is_durable=self._is_durable,
        )
        if self._spool.cut_bytes:
            log.error(
                "spool cut at its end: the last record was not written whole",
                directory=str(self._directory),
                size_bytes=self._spool.cut_bytes,
            )

    def _close(self) -> None:
        assert self._spool is not None, "only what is open is closed"
        self._spool.close()
        self._spool = None

    def _must_spill(self) -> bool:
        if self._is_behind:
            return bool(self._items)
        in_flight = self._in_flight()
        head = in_flight[0] if in_flight else self._items[0] if self._items else None
        self._looks_at_head = self._looks_at_head + 1 if head is not None and head is self._head else 0
        self._head = head
        return self._looks_at_head >= self._after_looks > 0 or self.held_bytes >= self._bound_bytes // 2

    async def _spill(self) -> None:
        """Append all that waits in memory. What was not appended stays there, behind what is on disk."""
        copies = [] if self._is_behind else list(self._in_flight())
        self._is_behind, self._head = True, None
        self._is_asked = self._is_asked and not copies
        try:
            while copies or self._items:
                some = [item for item, _ in islice(self._items, MOST_ITEMS)]
                await self._in_thread(self._append, copies, some)
                copies = []
                for _ in some:
                    self.held_bytes -= self._items.popleft()[1]
                if self.full:
                    self._make_room()
                self._codec.noted(self._used)
                if len(some) < MOST_ITEMS:
                    break
            self.failing.ended()
        except OSError as error:
            self._fails(error)
        finally:
            self._is_behind = self.disk_bytes > 0
            self._arrived.set()

    def _append(self, copies: Sequence[T], items: Sequence[T]) -> None:
        assert self._spool is not None, "only what is open is appended to"
        if copies:
            self._spool.append(self._codec.copied(copies))
            self._spool.skip_unread()
        records = self._codec.encoded(items, self._used)
        if records:
            self._spool.append(records)

    async def _load(self) -> None:
        try:
            items, records = await self._in_thread(self._loaded)
        except OSError as error:
            self._fails(error)
            await asyncio.sleep(LOOK_S * LOOKS_BETWEEN_TRIES)
            return
        if self._left:
            self._left -= records
            items = await self._unwritten(items)
            self.recovered += len(items)
        self._read.extend(items)
        self._is_asked = False

    def _loaded(self) -> tuple[list[T], int]:
        """What is read next, and how many records less are unread: others are appended between two steps."""
        assert self._spool is not None, "only what is open is read"
        unread = self._spool.unread
        items = self._codec.decoded(self._spool.read(CHUNK_BYTES))
        return items, unread - self._spool.unread

    def _confirm(self) -> None:
        assert self._spool is not None, "only what is open is confirmed"
        self._spool.confirm()

    async def _note_confirmed(self) -> None:
        self._is_confirmed = False
        try:
            await self._in_thread(self._confirm)
        except OSError as error:
            self._fails(error)
        if self._spilling is None or self._spilling.done():
            self._is_behind = self.disk_bytes > 0
            self._codec.noted(self._used)

    def _fails(self, error: OSError) -> None:
        self._looks_until_try = LOOKS_BETWEEN_TRIES
        self.failing.goes_on(error)

    async def _in_thread(self, step: Callable[..., Any], *arguments: Any) -> Any:
        assert self._thread is not None, "only what is open has a thread"
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._stepped, step, *arguments)

    def _stepped(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        finally:
            self._held = Held() if self._spool is None else self._spool.held
