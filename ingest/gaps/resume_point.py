"""Where an earlier ingest left off: until when the streams that it wrote are whole."""

from collections.abc import Collection, Sequence

import msgspec

from bus.connection import Client
from bus.feed_kinds import kind_of
from bus.market_messages import GapOpened
from bus.streams import market, market_parts

_AT_ONCE = 500

# Entries read at once where the last is another feed's.
_PAGE = 1000

Fields = dict[bytes, bytes]

_gap_opened = msgspec.json.Decoder(GapOpened).decode


async def whole_until_ns(client: Client, streams: Sequence[str], feeds: Collection[str]) -> dict[str, int]:
    """Stream to the time (ns) until which it is known to be whole; streams without entries are left out.

    What feeds other than these wrote into a stream of all symbols says nothing of them. Raises ServerAway or
    ServerRefused.
    """
    found: dict[str, int] = {}
    names = frozenset(feed.encode() for feed in feeds)
    for start in range(0, len(streams), _AT_ONCE):
        some = streams[start : start + _AT_ONCE]
        pipeline = client.pipeline(transaction=False)
        for stream in some:
            pipeline.xrevrange(stream, count=1)
        for stream, page in zip(some, await pipeline.execute(), strict=True):
            # Into a stream of one symbol one feed after another writes, and goes on where the last left off.
            own = names if market_parts(stream)[0] == "*" else None
            fields = await _last_of(client, stream, page, own)
            if fields is not None:
                found[stream] = _until_ns(fields)
    return found


async def brought_by_all(client: Client, kind: str, streams: Collection[str]) -> set[str]:
    """The streams of single symbols that those of all symbols among these bring by a feed of this kind.

    Raises ServerAway or ServerRefused.
    """
    found: set[str] = set()
    for channel in {channel for symbol, channel in map(market_parts, streams) if symbol == "*"}:
        async for key in client.scan_iter(match=market("*", channel), count=1000):
            symbol, _ = market_parts(key.decode())
            if kind_of(channel, symbol) == kind:
                found.add(key.decode())
    return found


async def _last_of(
    client: Client, stream: str, page: list[tuple[bytes, Fields]], feeds: frozenset[bytes] | None
) -> Fields | None:
    """The last entry of these feeds, or of none; None: of any.

    `page` holds the stream's last entries, newest first.
    """
    while page:
        for _, fields in page:
            if feeds is None or b"feed" not in fields or fields[b"feed"] in feeds:
                return fields
        page = await client.xrevrange(stream, max=f"({page[-1][0].decode()}", count=_PAGE)
    return None


def _until_ns(fields: Fields) -> int:
    """A gap that was still open goes on; anything else was received at its `r`."""
    if fields.get(b"type") == b"GapOpened":
        return _gap_opened(fields[b"d"]).since_ns
    return int(fields.get(b"r", b"0"))
