"""What was received and is not written yet: in order, bounded in bytes; a full buffer stops the reading."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Buffer(Generic[T]):
    """A queue from one receiver to one writer. A full buffer asks the receiver to stop reading.

    The bound is soft by one item: whoever sees `full` as false may add once more, so that nothing that was
    read is ever dropped here. Mutable: the items, their size, whether it is full, and how often it was.
    """

    def __init__(self, bound_bytes: int) -> None:
        self._items: deque[tuple[T, int]] = deque()
        self._bound_bytes = bound_bytes
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        # Whether older items are elsewhere: those here wait until they are taken.
        self._is_behind = False
        self.held_bytes = 0
        self.full = False
        self.stalls = 0

    def __repr__(self) -> str:
        return f"{len(self._items)} waiting, {self.held_bytes} of {self._bound_bytes} bytes"

    def __len__(self) -> int:
        return len(self._items)

    @property
    def next_item(self) -> T | None:
        """What is taken next, where that is known without a wait; None where it is not."""
        return self._items[0][0] if self._items and not self._is_behind else None

    @property
    def idle(self) -> bool:
        """Whether everything was taken and the writer has come back for more."""
        return not self._items and not self._is_behind and not self._arrived.is_set()

    def add(self, item: T, size_bytes: int) -> None:
        """Append an item; never waits, never drops."""
        self._items.append((item, size_bytes))
        self.held_bytes += size_bytes
        if self.held_bytes >= self._bound_bytes:
            self.full = True
        if not self._arrived.is_set():
            self._arrived.set()

    async def room(self) -> None:
        """Wait until there is room. Each wait that was necessary counts as a stall."""
        if self.full:
            self.stalls += self._room.is_set()
            self._room.clear()
            await self._room.wait()

    async def take(self) -> T:
        """The oldest item; waits for one."""
        while self._is_behind or not self._items:
            for older in await self._older():
                return older
        item, size_bytes = self._items.popleft()
        self.held_bytes -= size_bytes
        # Half empty before reading goes on: stopping and starting for each frame would be dear.
        if self.full:
            self._make_room()
        return item

    async def take_some(self, most: int) -> list[T]:
        """The oldest items, at most so many and as many as there are; waits for one."""
        found = [await self.take()]
        while len(found) < most and self.next_item is not None:
            found.append(await self.take())
        return found

    def confirm(self) -> None:
        """Everything that was taken is written. Whoever keeps no copy of it need not be told."""

    async def _older(self) -> list[T]:
        """Wait for an arrival; an item that is older than those in memory, where there is one."""
        self._arrived.clear()
        await self._arrived.wait()
        return []

    def _make_room(self) -> None:
        if self.held_bytes <= self._bound_bytes // 2:
            self.full = False
            self._room.set()
