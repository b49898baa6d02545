"""Where an earlier ingest left off: the last receive time of streams that have entries."""

from collections.abc import Sequence

import msgspec

from bus.connection import Client
from bus.market_messages import GapOpened

_AT_ONCE = 500

_gap_opened = msgspec.json.Decoder(GapOpened).decode


async def last_received_ns(client: Client, streams: Sequence[str]) -> dict[str, int]:
    """Stream to the time (ns) until which it is known to be whole; streams without entries are left out.

    Raises redis-py's errors when the server is away.
    """
    found: dict[str, int] = {}
    for start in range(0, len(streams), _AT_ONCE):
        some = streams[start : start + _AT_ONCE]
        pipeline = client.pipeline(transaction=False)
        for stream in some:
            pipeline.xrevrange(stream, count=1)
        for stream, entries in zip(some, await pipeline.execute(), strict=True):
            if entries:
                found[stream] = _whole_until_ns(entries[0][1])
    return found


def _whole_until_ns(fields: dict[bytes, bytes]) -> int:
    """A gap that was still open goes on; anything else was received at its `r`."""
    if fields.get(b"type") == b"GapOpened":
        return _gap_opened(fields[b"d"]).since_ns
    return int(fields.get(b"r", b"0"))
