"""Has the journal archived and trimmed at the end of each trading day, while the OMS works."""

import asyncio
from datetime import date
from pathlib import Path

import msgspec
import structlog

from bus.clock import Clock
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.trading_day import trading_day
from oms.journal.archive import Archive
from oms.journal.archive_process import Kept, ToArchive
from oms.journal.process_apart import said_apart

# How often it is looked whether another trading day has begun.
_LOOK_S = 5.0

# What failed is tried again after this.
_AGAIN_NS = 3600 * 1_000_000_000

log = structlog.get_logger()


class ArchiveKeeper:
    """Keeps the archive of one OMS's journal below `root`.

    `first_id` is the journal's first entry, "0-0" for one that is new. Mutable: the trading day up to which
    it was done, and when what failed is due again.
    """

    def __init__(
        self, url: str, account: str, root: Path, keep_days: int, first_id: str, clock: Clock
    ) -> None:
        self._order = ToArchive(url, account, str(root), keep_days)
        self._first_id = first_id
        self._clock = clock
        self._done: date | None = None
        self._again_ns = 0

    def __repr__(self) -> str:
        return f"<archive in {self._order.root}, done on {self._done or 'no day yet'}>"

    async def keep(self) -> None:
        """Archive and trim as it is due, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Archive and trim where it is due."""
        now_ns = self._clock.now_ns()
        if now_ns >= self._again_ns and self._is_due(trading_day(now_ns)):
            if await self._kept():
                self._done = trading_day(now_ns)
            else:
                self._again_ns = now_ns + _AGAIN_NS

    def _is_due(self, today: date) -> bool:
        """Whether nothing of this trading day is archived: then the one before may not be there wholly."""
        if self._done is None:
            self._done = self._archived_on()
        return self._done is None or self._done < today

    def _archived_on(self) -> date | None:
        """The trading day of the last entry in the archive; None where there is none that can be read."""
        try:
            segments = Archive(Path(self._order.root), self._order.account, self._first_id).segments()
        except InvalidInput:
            return None
        return trading_day(entry_position(segments[-1].last_id)[0] * 1_000_000) if segments else None

    async def _kept(self) -> bool:
        """Have it done; False where it is to be tried again."""
        said, code = await said_apart("oms.journal.archive_process", msgspec.json.encode(self._order))
        try:
            found = msgspec.json.decode(said, type=Kept)
        except msgspec.DecodeError:
            found = Kept(error=f"its process ended with {code}")
        if found.archived is not None:
            log.info("archived", entries=found.archived.entries, head=found.archived.head_id)
        if found.trim is not None:
            log.info("trimmed", entries=found.trim.entries, left=found.trim.left)
        if found.error:
            log.error("the journal is not archived and trimmed as it should be", error=found.error)
        return not found.error
