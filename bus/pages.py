"""Read a long stream fast: pages of raw entries, the next one asked for while the last is looked at."""

from collections.abc import AsyncGenerator

from bus.chain import Entry
from bus.errors import ServerAway
from bus.link import Link
from bus.wire import Sent, checked, pack

# Entries fetched at once: as many as stay in a core's cache while they are looked at.
PAGE = 250


async def pages(
    link: Link, stream: str, *, start: str = "-", end: str = "+", backwards: bool = False
) -> AsyncGenerator[list[Entry], None]:
    """The entries of a stream between two ids (both included), oldest first; or newest first.

    Waits while the server is away or refuses for now.
    """
    position: str | bytes = end if backwards else start

    def question(position: str | bytes) -> bytes:
        if backwards:
            return pack("XREVRANGE", stream, position, start, "COUNT", PAGE)
        return pack("XRANGE", stream, position, end, "COUNT", PAGE)

    sent: Sent | None = None
    while True:
        try:
            if sent is None:
                sent = (await link.opened()).send(question(position))
            (reply,) = await sent
            page: list[Entry] = checked(reply)
        except ServerAway as error:
            sent = None
            await link.wait_out(error)
            continue
        link.answered()
        if len(page) < PAGE:
            yield page
            return
        position = b"(" + page[-1][0]
        wire = link.wire
        sent = None if wire is None else wire.send(question(position))
        yield page
