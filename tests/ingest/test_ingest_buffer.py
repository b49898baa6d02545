"""The buffer between receiving and writing."""

import asyncio

from waiting import until

from ingest.buffer import Buffer


async def test_a_full_buffer_stops_the_receiver_until_it_is_half_empty():
    buffer: Buffer[int] = Buffer(10)
    for item in range(4):
        buffer.add(item, 3)
    assert buffer.full
    waiting = asyncio.create_task(buffer.room())
    await until(lambda: buffer.stalls == 1)
    assert [await buffer.take(), await buffer.take()] == [0, 1]
    assert not waiting.done()
    assert await buffer.take() == 2
    await asyncio.wait_for(waiting, 5)
    assert buffer.stalls == 1


async def test_idle_means_that_the_writer_came_back_for_more():
    buffer: Buffer[int] = Buffer(10)
    taking = asyncio.create_task(buffer.take())
    await until(lambda: buffer.idle)
    buffer.add(1, 1)
    assert not buffer.idle
    assert await taking == 1
    assert not buffer.idle
    again = asyncio.create_task(buffer.take())
    await until(lambda: buffer.idle)
    buffer.add(2, 1)
    assert await again == 2


async def test_a_cancelled_wait_for_room_is_one_stall():
    buffer: Buffer[int] = Buffer(1)
    buffer.add(1, 1)
    for _ in range(3):
        waiting = asyncio.create_task(buffer.room())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert buffer.stalls == 1


async def test_what_is_added_to_a_full_buffer_does_not_strand_the_receiver():
    buffer: Buffer[int] = Buffer(10)
    buffer.add(1, 12)
    buffer.add(2, 3)
    waiting = asyncio.create_task(buffer.room())
    await until(lambda: buffer.stalls == 1)
    await buffer.take()
    buffer.add(3, 0)
    await buffer.take()
    await asyncio.wait_for(waiting, 5)
    assert not buffer.full
