"""Read a range of one stream or several, in order of time."""

import heapq
from collections.abc import AsyncIterator, Sequence

from bus.connection import Client
from bus.delivery import Delivery
from bus.entry_position import entry_position

# Entries fetched at once; a page costs about a millisecond of the server.
PAGE = 1000


async def read(
    client: Client, streams: Sequence[str], *, start: str = "-", end: str = "+"
) -> AsyncIterator[Delivery]:
    """The entries of the streams between two ids (both included), merged by id.

    An id may be a bare millisecond: `start` then means its first entry and `end` its last. Entries with the
    same id come in the order of `streams`.
    """
    sources = [_pages(client, stream, start, end) for stream in streams]
    heads: list[tuple[tuple[int, int], int, Delivery]] = []
    for number, source in enumerate(sources):
        first = await anext(source, None)
        if first is not None:
            heapq.heappush(heads, (entry_position(first.id), number, first))
    while heads:
        _, number, delivery = heapq.heappop(heads)
        yield delivery
        following = await anext(sources[number], None)
        if following is not None:
            heapq.heappush(heads, (entry_position(following.id), number, following))


async def _pages(client: Client, stream: str, start: str, end: str) -> AsyncIterator[Delivery]:
    position = start
    while True:
        page = await client.xrange(stream, position, end, count=PAGE)
        for id_, fields in page:
            yield Delivery(stream, id_.decode(), fields)
        if len(page) < PAGE:
            return
        position = f"({page[-1][0].decode()}"
