"""Where an earlier ingest left off: until when the streams that it wrote are whole."""

from collections.abc import Collection, Sequence

import msgspec

from bus.connection import Client
from bus.feed_kinds import REST, kind_of
from bus.market_messages import GapClosed, GapOpened
from bus.streams import market, market_parts

_AT_ONCE = 500

# Entries read at once where the last does not say it.
_PAGE = 1000

Fields = dict[bytes, bytes]

_gap_closed = msgspec.json.Decoder(GapClosed).decode
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
            until_ns = await _until_ns(client, stream, page, own)
            if until_ns is not None:
                found[stream] = until_ns
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


class _End:
    """The end of a stream, read backwards as far as it takes to know until when the stream is whole.

    What came from history, and the last trade where only that is asked for, proves nothing: while history is
    asked what comes live waits, and between two last trades others are missing. Mutable: `until_ns`, None
    until it is known, and what was read.
    """

    def __init__(self) -> None:
        self.until_ns: int | None = None
        # Gaps that are closed: since when, and until when.
        self._closed: dict[int, int] = {}
        self._oldest_ns: int | None = None

    def take(self, entry_id: bytes, fields: Fields) -> None:
        """The entry before those that were taken."""
        received_ns = int(fields.get(b"r", b"0"))
        kind = fields.get(b"type")
        if kind == b"GapClosed":
            marker = _gap_closed(fields[b"d"])
            self._closed.setdefault(marker.since_ns, marker.until_ns)
        elif kind == b"GapOpened":
            since_ns = _gap_opened(fields[b"d"]).since_ns
            self.until_ns = max(self._closed.values()) if since_ns in self._closed else since_ns
        elif b"b" in fields or fields.get(b"feed") == REST.encode():
            self._oldest_ns = min(received_ns, int(entry_id.split(b"-")[0]) * 1_000_000)
        else:
            self.until_ns = max((received_ns, *self._closed.values()))

    def where_nothing_is_before(self) -> int | None:
        """The same at the beginning of the stream: nobody knows what was before; None: it is empty."""
        return max(self._closed.values(), default=self._oldest_ns)


async def _until_ns(
    client: Client, stream: str, page: list[tuple[bytes, Fields]], feeds: frozenset[bytes] | None
) -> int | None:
    """Until when a stream is whole, as far as these feeds wrote it; None: any. None without an entry.

    `page` holds the stream's last entries, newest first.
    """
    end = _End()
    while page:
        for entry_id, fields in page:
            if feeds is None or b"feed" not in fields or fields[b"feed"] in feeds:
                end.take(entry_id, fields)
            if end.until_ns is not None:
                return end.until_ns
        page = await client.xrevrange(stream, max=f"({page[-1][0].decode()}", count=_PAGE)
    return end.where_nothing_is_before()
