"""The reader of a drill that reads all symbols, by `*`, and sees what is missing."""

import asyncio
import time
from collections.abc import Sequence

import orjson

from bus.consume import GroupReader
from bus.service import ended
from bus.streams import algorithm_group, market_all_partitions, market_channel
from ops.drill.system import ACCOUNT, System


class WildcardReader:
    """Reads all that is written for readers of every symbol, and sees that no trade of a symbol is missing.

    Mutable: the counts (`read` counts gap markers too), and the last trade of each symbol.
    """

    def __init__(self, system: System, name: str, channels: Sequence[str]) -> None:
        self.read = 0
        self.missing = 0
        self.cut = 0
        self._last: dict[str, int] = {}
        self._read_at = time.monotonic()
        streams = [stream for channel in channels for stream in market_all_partitions(channel)]
        url, group = system.environment["MD_REDIS_URL"], algorithm_group(ACCOUNT, name)
        self._reader = GroupReader(url, streams, group, name="drill", hears_of_cuts=True)
        self._reading: asyncio.Task[None] | None = None

    @property
    def quiet(self) -> bool:
        """Whether nothing came for two seconds."""
        return time.monotonic() - self._read_at > 2

    async def open(self) -> None:
        """Begin to read: from here on everything counts."""
        await self._reader.open()
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            await ended(self._reading)
        await self._reader.close()

    async def _read(self) -> None:
        while True:
            for delivery in await self._reader.deliveries():
                self._reader.acknowledge(delivery)
                if delivery.trimmed:
                    continue
                self._read_at = time.monotonic()
                self.read += 1
                if market_channel(delivery.stream) == "trades" and b"type" not in delivery.fields:
                    self._follow(delivery.fields[b"d"])
            self.cut = self._reader.trimmed
            await asyncio.sleep(0)

    def _follow(self, data: bytes) -> None:
        trade = orjson.loads(data)
        before = self._last.get(trade["S"])
        self._last[trade["S"]] = trade["i"]
        if before is not None and trade["i"] != before + 1:
            self.missing += 1
