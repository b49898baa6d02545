"""What a market feed spools: frames as they came, markers and prices as they are written, and what is kept.

Each carries the stamp under which it is written, so that an earlier process's are recognized in the streams.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from bus.clock import next_stamp_ns
from bus.market_batch import MarketBatch
from bus.market_messages import GapOpened
from ingest.buffered_item import Item, Missing, PassedOver, Resumed, Turn
from ingest.frames import Kept
from ingest.spool.dropping import Dropping
from ingest.spool.spool_records import Damaged

_FRAME, _BATCH, _PASSED_OVER, _RESUMED, _TURN = b"F", b"B", b"P", b"R", b"T"

# Behind the kind of a frame's record: its stamp (ns), and how many bytes name the channels written for all.
_STAMP_BYTES, _LENGTH_BYTES = 8, 2

_encode = msgspec.msgpack.Encoder().encode
_batch = msgspec.msgpack.Decoder(tuple[list[str], list[int | bytes], int, str, str]).decode
_passed_over = msgspec.msgpack.Decoder(tuple[str, int, str, bytes]).decode
_resumed = msgspec.msgpack.Decoder(tuple[dict[str, int], int]).decode
_since = msgspec.json.Decoder(GapOpened).decode


@dataclass(slots=True)
class SpooledFeed:
    """Of the feed that received a frame, what is needed to write it."""

    name: str
    wildcards: frozenset[str]
    heard: set[str]


class MarketRecords:
    """The records of one feed, and what is dropped where there is no room.

    Mutable: the last stamp; of what an earlier process left, until when it is whole, and which gaps are open
    at its end; how many records were damaged.
    """

    def __init__(self, feed: str, dropping: Dropping, heard: Callable[[], set[str]]) -> None:
        self.damaged = 0
        self.last_left_ns = 0
        self._feed = feed
        self._dropping = dropping
        self._heard = heard
        self._stamp_ns = 0
        self._turns: dict[bytes, Turn] = {}
        self._is_whole = True
        self._whole_until_ns = 0
        self._open_since_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"records of {self._feed}, {self.damaged} damaged"

    def whole_until(self, since_ns: dict[str, int]) -> dict[str, int]:
        """The times until which streams are known to be whole, with what an earlier process left added."""
        return {
            stream: self._open_since_ns.get(stream, max(since, self._whole_until_ns))
            for stream, since in since_ns.items()
        }

    def left(self, found: bytes | Damaged) -> None:
        """A record that an earlier process left."""
        if isinstance(found, Damaged):
            self._is_whole = False
            return
        kind, stamp_ns = found[:1], 0
        if kind == _FRAME:
            stamp_ns = int.from_bytes(found[1 : 1 + _STAMP_BYTES])
        elif kind == _BATCH:
            streams, values, stamp_ns, _, marker = _batch(found[1:])
            for stream, value in zip(streams, values[1::2], strict=True):
                if marker == GapOpened.__name__:
                    self._open_since_ns[stream] = _since(value).since_ns  # type: ignore[arg-type]
        elif kind == _RESUMED:
            for stream in _resumed(found[1:])[0]:
                self._open_since_ns.pop(stream, None)
        self.last_left_ns = stamp_ns or self.last_left_ns
        if self._is_whole:
            self._whole_until_ns = self.last_left_ns

    def copied(self, in_flight: Iterable[MarketBatch]) -> list[bytes]:
        """The records of what the writer holds, under the stamps that it has given them."""
        return [_batch_record(batch) for batch in in_flight]

    def encoded(self, items: Iterable[Item], used: float) -> list[bytes]:
        """The records of these, less what is dropped where so much of the spool is used."""
        records: list[bytes] = []
        for item in self._dropping.kept(items, used):
            if isinstance(item, tuple):
                feed, received_ns, frame = item
                self._stamp_ns = next_stamp_ns(received_ns, self._stamp_ns)
                wildcards = ",".join(sorted(feed.wildcards)).encode()
                head = self._stamp_ns.to_bytes(_STAMP_BYTES) + len(wildcards).to_bytes(_LENGTH_BYTES)
                records.append(_FRAME + head + wildcards + frame)
            elif isinstance(item, MarketBatch):
                self._stamp_ns = item.received_ns = next_stamp_ns(item.received_ns, self._stamp_ns)
                records.append(_batch_record(item))
            elif isinstance(item, PassedOver):
                kept = item.feed, item.received_ns, item.kept.reason, item.kept.payload
                records.append(_PASSED_OVER + _encode(kept))
            elif isinstance(item, Resumed):
                records.append(_RESUMED + _encode((item.since_ns, item.until_ns)))
            elif isinstance(item, Turn):
                number = uuid.uuid4().bytes
                self._turns[number] = item
                records.append(_TURN + number)
        return records

    def decoded(self, records: Iterable[bytes | Damaged]) -> list[Item]:
        """The items of these records; a damaged one is passed over, and kept as such.

        What it held is missing: this is said once behind damaged ones that follow one another.
        """
        found: list[Item] = []
        reason = ""
        for record in records:
            damaged = self.damaged
            item = self._item(record)
            is_damaged = self.damaged > damaged
            if reason and not is_damaged:
                found.append(Missing(reason))
                reason = ""
            if is_damaged and isinstance(item, PassedOver):
                reason = reason or item.kept.reason
            found.append(item)
        return [*found, Missing(reason)] if reason else found

    def noted(self, used: float) -> None:
        """What was encoded is on disk, or something was removed there."""
        self._dropping.tell(self._stamp_ns, used)

    def _item(self, record: bytes | Damaged) -> Item:
        if isinstance(record, Damaged):
            return self._kept(record.reason, record.payload)
        kind, rest = record[:1], record[1:]
        try:
            if kind == _FRAME:
                start = _STAMP_BYTES + _LENGTH_BYTES
                end = start + int.from_bytes(rest[_STAMP_BYTES:start])
                wildcards = frozenset(filter(None, rest[start:end].decode().split(",")))
                feed = SpooledFeed(self._feed, wildcards, self._heard())
                return feed, int.from_bytes(rest[:_STAMP_BYTES]), rest[end:]
            if kind == _BATCH:
                return MarketBatch(*_batch(rest))
            if kind == _PASSED_OVER:
                name, received_ns, reason, payload = _passed_over(rest)
                return PassedOver(name, received_ns, Kept(reason, payload))
            if kind == _RESUMED:
                return Resumed(*_resumed(rest))
            if kind == _TURN:
                # Whoever asked for an earlier process's turn is gone.
                return self._turns.pop(rest, None)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return self._kept(f"a record of the spool that cannot be read: {error}", record)
        return self._kept(f"a record of the spool of unknown kind {kind!r}, as of another version", record)

    def _kept(self, reason: str, payload: bytes) -> PassedOver:
        self.damaged += 1
        return PassedOver(self._feed, self._stamp_ns, Kept(reason, payload))


def _batch_record(batch: MarketBatch) -> bytes:
    parts = batch.streams, batch.values, batch.received_ns, batch.feed, batch.marker
    return _BATCH + _encode(parts)
