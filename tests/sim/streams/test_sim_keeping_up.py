"""Virtual time waits for those that read, and for nobody else."""

import asyncio

from sim.streams.keeping_up import FEW_BYTES, keep_up


class Reader:
    """Takes `takes` bytes every time it is looked at."""

    def __init__(self, waiting_bytes: int, takes: int) -> None:
        self._waiting_bytes = waiting_bytes
        self._takes = takes
        self.was_ended = False

    @property
    def waiting_bytes(self) -> int:
        self._waiting_bytes = max(0, self._waiting_bytes - self._takes)
        return self._waiting_bytes

    def end_as_slow(self) -> None:
        self.was_ended = True
        self._waiting_bytes = 0


async def test_a_slow_reader_is_waited_for() -> None:
    reader = Reader(2 * FEW_BYTES, 10_000)
    await asyncio.wait_for(keep_up(lambda: [reader], patience_s=0.5), 10)
    assert not reader.was_ended
    assert reader.waiting_bytes <= FEW_BYTES


async def test_who_reads_nothing_is_ended() -> None:
    silent, quick = Reader(FEW_BYTES + 1, 0), Reader(FEW_BYTES + 1, FEW_BYTES)
    await asyncio.wait_for(keep_up(lambda: [silent, quick], patience_s=0.05), 10)
    assert silent.was_ended
    assert not quick.was_ended


async def test_nobody_is_waited_for_who_keeps_up() -> None:
    await asyncio.wait_for(keep_up(lambda: [Reader(FEW_BYTES, 0)], patience_s=100), 1)
