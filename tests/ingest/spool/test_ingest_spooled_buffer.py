"""A buffer that goes on on disk: order, room, and what a directory that fails costs."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from ingest.spool import spooled_buffer
from ingest.spool.spool import Spool
from ingest.spool.spool_records import Damaged
from ingest.spool.spooled_buffer import SpooledBuffer


class Numbers:
    """Numbers as records; -1 asks for something, and has none."""

    def left(self, found: bytes | Damaged) -> None:
        pass

    def copied(self, in_flight: Iterable[int]) -> list[bytes]:
        return self.encoded(in_flight, 0)

    def encoded(self, items: Iterable[int], used: float) -> list[bytes]:
        return [b"%d" % one for one in items if one >= 0]

    def decoded(self, records: Iterable[bytes | Damaged]) -> list[int]:
        return [int(one) for one in records if isinstance(one, bytes)]

    def noted(self, used: float) -> None:
        pass


class Writer:
    """Takes from a buffer, and confirms when it is asked to; `stands` while nothing is taken from it."""

    def __init__(self, buffer: SpooledBuffer[int]) -> None:
        self.buffer = buffer
        self.stands = asyncio.Event()
        self.stands.set()
        self.in_flight: list[int] = []
        self.holds_back, self.asked = False, 0
        self.written: list[int] = []

    async def run(self) -> None:
        while True:
            item = await self.buffer.take()
            self.in_flight += [item] if item >= 0 else []
            self.asked += item < 0
            await self.stands.wait()
            self.written += self.in_flight
            self.in_flight.clear()
            if not self.holds_back:
                self.buffer.confirm()


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_buffer, "LOOK_S", 0.005)


def _segments(directory: Path) -> list[Path]:
    return list(directory.glob("*.spool"))


async def _all(items: Sequence[int]) -> list[int]:
    return list(items)


def _buffer(
    directory: Path,
    in_flight: list[int],
    bound_bytes: int = 1000,
    unwritten: Callable[[Sequence[int]], Awaitable[list[int]]] = _all,
) -> SpooledBuffer[int]:
    return SpooledBuffer(
        bound_bytes,
        directory,
        Numbers(),
        lambda: in_flight,
        unwritten,
        most_bytes=1_000_000,
        after_s=0.01,
        asking=(-1,),
    )


@contextlib.asynccontextmanager
async def _at_work(directory: Path, *arguments: Any, **options: Any) -> AsyncIterator[Writer]:
    in_flight: list[int] = []
    buffer = _buffer(directory, in_flight, *arguments, **options)
    writer = Writer(buffer)
    writer.in_flight = in_flight
    await buffer.open()
    tasks = [asyncio.create_task(buffer.run()), asyncio.create_task(writer.run())]
    try:
        yield writer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await buffer.close(keep=True)


async def test_memory_first_then_disk_then_memory_again_in_order(tmp_path: Path) -> None:
    async with _at_work(tmp_path) as writer:
        buffer = writer.buffer
        buffer.add(0, 10)
        await until(lambda: writer.written == [0])
        assert _segments(tmp_path) == [], "nothing goes to disk while all is written"
        writer.stands.clear()
        for number in range(1, 4):
            buffer.add(number, 10)
        await until(lambda: buffer.disk_items == 3, "what waits to go to disk")
        assert (buffer.held_bytes, buffer.full) == (0, False)
        for number in range(4, 200):
            buffer.add(number, 10)
        await until(lambda: buffer.disk_items == 199, "what comes behind it")
        writer.stands.set()
        for number in range(200, 300):
            buffer.add(number, 10)
            await asyncio.sleep(0)
        await until(lambda: len(writer.written) == 300 and buffer.idle, "all to be written")
        assert writer.written == list(range(300))
        assert _segments(tmp_path) == [], "what is written is removed"


async def test_one_thread_alone_looks_at_what_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop asks how much there is while segments are removed: what it sees is of between two steps."""
    threads: set[int] = set()

    class Watched(Spool):
        def __getattribute__(self, name: str) -> Any:
            threads.add(threading.get_ident())
            return super().__getattribute__(name)

    monkeypatch.setattr(spooled_buffer, "Spool", Watched)
    async with _at_work(tmp_path) as writer:
        buffer = writer.buffer
        writer.stands.clear()
        for number in range(5):
            buffer.add(number, 10)
        await until(lambda: buffer.disk_items == 5 and buffer.disk_bytes > 0, "what waits to go to disk")
        writer.stands.set()
        await until(lambda: buffer.idle and not buffer.disk_items, "all to be written")
        assert (len(writer.written), buffer.disk_unread, len(buffer)) == (5, 0, 0)
    assert len(threads) == 1


async def test_memory_that_is_half_full_goes_to_disk_at_once(tmp_path: Path) -> None:
    async with _at_work(tmp_path, bound_bytes=100) as writer:
        writer.stands.clear()
        writer.buffer.add(0, 60)
        writer.buffer.add(1, 60)
        await writer.buffer.room()
        assert writer.buffer.disk_items == 2
        assert not writer.buffer.full


async def test_what_waits_at_the_end_is_given_first_by_the_next(tmp_path: Path) -> None:
    async with _at_work(tmp_path) as writer:
        writer.stands.clear()
        for number in range(5):
            writer.buffer.add(number, 10)
        await until(lambda: writer.in_flight == [0])
    async with _at_work(tmp_path) as writer:
        writer.buffer.add(5, 10)
        await until(lambda: len(writer.written) == 6)
        assert writer.written == list(range(6))


async def test_of_what_an_earlier_process_left_only_what_is_not_written_is_given(tmp_path: Path) -> None:
    async with _at_work(tmp_path) as writer:
        writer.stands.clear()
        for number in range(5):
            writer.buffer.add(number, 10)
        await until(lambda: writer.buffer.disk_items == 5)

    async def unwritten(items: Sequence[int]) -> list[int]:
        return [item for item in items if item not in (0, 3)]

    async with _at_work(tmp_path, unwritten=unwritten) as writer:
        writer.buffer.add(3, 10)
        await until(lambda: len(writer.written) == 4 and writer.buffer.idle)
        assert writer.written == [1, 2, 4, 3], "what is new is not compared"
        assert writer.buffer.recovered == 3


async def test_what_is_appended_just_before_what_was_left_is_read_is_not_compared(tmp_path: Path) -> None:
    async with _at_work(tmp_path) as writer:
        writer.stands.clear()
        for number in range(3):
            writer.buffer.add(number, 10)
        await until(lambda: writer.buffer.disk_items == 3)

    async def none_of(items: Sequence[int]) -> list[int]:
        return []

    class Late(SpooledBuffer[int]):
        def _loaded(self) -> tuple[list[int], int]:
            if self.disk_items == 3:
                self._append([], [7])
            return super()._loaded()

    arguments = (1000, tmp_path, Numbers(), list, none_of)
    buffer = Late(*arguments, most_bytes=1_000_000, after_s=0.01, asking=(-1,))
    await buffer.open()
    assert await buffer.take() == -1
    assert await buffer.take() == 7
    await buffer.close(keep=False)


async def test_what_the_writer_holds_back_keeps_the_spool_until_it_is_written(tmp_path: Path) -> None:
    async with _at_work(tmp_path) as writer:
        buffer = writer.buffer
        writer.stands.clear()
        for number in range(5):
            buffer.add(number, 10)
        await until(lambda: buffer.disk_items == 5)
        writer.holds_back = True
        writer.stands.set()
        await until(lambda: writer.asked > 3, "it to be asked again")
        assert buffer.disk_items == 5
        writer.holds_back = False
        await until(lambda: buffer.idle and not buffer.disk_items)


async def test_a_directory_that_takes_nothing_leaves_what_there_was_a_full_buffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled_buffer, "LOOKS_BETWEEN_TRIES", 1)
    place = tmp_path / "spool"
    place.write_text("a file stands where the directory should be")
    async with _at_work(place, bound_bytes=100) as writer:
        buffer = writer.buffer
        assert "spool" in buffer.failing.why
        writer.stands.clear()
        buffer.add(0, 10)
        await until(lambda: writer.in_flight == [0])
        for number in range(1, 11):
            buffer.add(number, 10)
        assert buffer.full, "reading has to stop"
        place.unlink()
        await until(lambda: not buffer.full and not buffer.failing.why, "the directory to be taken")
        for number in range(11, 20):
            buffer.add(number, 10)
        writer.stands.set()
        await until(lambda: len(writer.written) == 20)
        assert writer.written == list(range(20))


async def test_a_disk_that_is_full_for_a_while_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled_buffer, "LOOKS_BETWEEN_TRIES", 1)
    async with _at_work(tmp_path, bound_bytes=100) as writer:
        buffer = writer.buffer
        writer.stands.clear()
        for number in range(3):
            buffer.add(number, 10)
        await until(lambda: buffer.disk_items == 3)

        def is_full(*arguments: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr("os.pwrite", is_full)
            for number in range(3, 14):
                buffer.add(number, 10)
            await until(lambda: "No space left" in buffer.failing.why, "the trouble to be told")
            assert buffer.full
            # What is on disk is written meanwhile, and then what is in memory.
            writer.stands.set()
            await until(lambda: len(writer.written) == 14 and buffer.idle, "all to be written")
        assert writer.written == list(range(14))


async def test_what_was_confirmed_before_the_last_of_a_chunk_was_taken_leaves_the_chunk(
    tmp_path: Path,
) -> None:
    async with _at_work(tmp_path) as writer:
        writer.stands.clear()
        for number in range(5):
            writer.buffer.add(number, 10)
        await until(lambda: writer.buffer.disk_items == 5)
    buffer = _buffer(tmp_path, [])
    await buffer.open()
    assert await buffer.take() == 0
    buffer.confirm()
    assert [await buffer.take() for _ in range(5)] == [1, 2, 3, 4, -1]
    waiting = asyncio.create_task(buffer.take())
    await asyncio.wait({waiting}, timeout=0.05)
    assert buffer.disk_items == 5, "nobody said that the other four are written"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await buffer.close(keep=False)
