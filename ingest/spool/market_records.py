"""What a market feed spools: frames as they came, markers and prices as they are written, and what is kept.

Each carries the stamp under which it is written, so that an earlier process's are recognized in the streams.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from bus.clock import next_stamp_ns
from bus.market_batch import MarketBatch
from ingest.buffered_item import Item, Missing, PassedOver, Resumed, Turn
from ingest.frames import Kept, split
from ingest.spool.dropping import Dropping
from ingest.spool.left_off import LeftOff
from ingest.spool.spool_records import Damaged

_FRAME, _BATCH, _PASSED_OVER, _RESUMED, _TURN = b"N", b"B", b"P", b"R", b"T"

# A frame as it was written before it named its feed, which is the one whose spool it lies in.
_UNNAMED_FRAME = b"F"

# Behind the kind of a frame's record: its stamp (ns), and how many bytes name its feed and the channels that
# are written for all.
_STAMP_BYTES, _LENGTH_BYTES = 8, 2

_encode = msgspec.msgpack.Encoder().encode
_batch = msgspec.msgpack.Decoder(tuple[list[str], list[int | bytes], int, str, str]).decode
_passed_over = msgspec.msgpack.Decoder(tuple[str, int, str, bytes]).decode
_resumed = msgspec.msgpack.Decoder(tuple[dict[str, int], int]).decode


class _Unreadable(ValueError):
    """A record of which nothing can be written: why, and what is shown of it."""

    def __init__(self, reason: str, payload: bytes) -> None:
        super().__init__(reason)
        self.payload = payload


@dataclass(slots=True)
class SpooledFeed:
    """Of the feed that received a frame, what is needed to write it."""

    name: str
    wildcards: frozenset[str]
    heard: set[str]


class MarketRecords:
    """The records of one feed, and what is dropped where there is no room.

    Mutable: the last stamp; until when streams are whole by what an earlier process left; how many records
    were damaged.
    """

    def __init__(self, feed: str, dropping: Dropping, heard: Callable[[], set[str]]) -> None:
        self.damaged = 0
        self.left_off = LeftOff()
        self._feed = feed
        self._dropping = dropping
        self._heard = heard
        self._stamp_ns = 0
        self._turns: dict[bytes, Turn] = {}

    def __repr__(self) -> str:
        return f"records of {self._feed}, {self.damaged} damaged"

    def left(self, found: bytes | Damaged) -> None:
        """A record that an earlier process left."""
        try:
            item = self._decoded(found)
        except _Unreadable:
            self.left_off.damaged()
            return
        if isinstance(item, tuple):
            feed, stamp_ns, frame = item
            item = split(frame, stamp_ns, feed.wildcards, feed=feed.name).batch
        if isinstance(item, MarketBatch):
            self.left_off.take(item)
        elif isinstance(item, Resumed):
            self.left_off.resumed(item.since_ns, item.until_ns)

    def copied(self, in_flight: Iterable[MarketBatch | Resumed]) -> list[bytes]:
        """The records of what the writer holds, under the stamps that it has given them."""
        return [
            _batch_record(one) if isinstance(one, MarketBatch) else _resumed_record(one) for one in in_flight
        ]

    def encoded(self, items: Iterable[Item], used: float) -> list[bytes]:
        """The records of these, less what is dropped where so much of the spool is used."""
        records: list[bytes] = []
        for item in self._dropping.kept(items, used):
            if isinstance(item, tuple):
                feed, received_ns, frame = item
                self._stamp_ns = next_stamp_ns(received_ns, self._stamp_ns)
                names = ",".join((feed.name, *sorted(feed.wildcards))).encode()
                head = self._stamp_ns.to_bytes(_STAMP_BYTES) + len(names).to_bytes(_LENGTH_BYTES)
                records.append(_FRAME + head + names + frame)
            elif isinstance(item, MarketBatch):
                self._stamp_ns = item.received_ns = next_stamp_ns(item.received_ns, self._stamp_ns)
                records.append(_batch_record(item))
            elif isinstance(item, PassedOver):
                kept = item.feed, item.received_ns, item.kept.reason, item.kept.payload
                records.append(_PASSED_OVER + _encode(kept))
            elif isinstance(item, Resumed):
                records.append(_resumed_record(item))
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
        try:
            return self._decoded(record)
        except _Unreadable as error:
            self.damaged += 1
            return PassedOver(self._feed, self._stamp_ns, Kept(str(error), error.payload))

    def _decoded(self, record: bytes | Damaged) -> Item:
        """The item of a record. Raises _Unreadable."""
        if isinstance(record, Damaged):
            raise _Unreadable(record.reason, record.payload)
        kind, rest = record[:1], record[1:]
        try:
            if kind in (_FRAME, _UNNAMED_FRAME):
                start = _STAMP_BYTES + _LENGTH_BYTES
                end = start + int.from_bytes(rest[_STAMP_BYTES:start])
                name, *wildcards = rest[start:end].decode().split(",")
                if kind == _UNNAMED_FRAME:
                    name, wildcards = self._feed, [name, *wildcards]
                feed = SpooledFeed(name, frozenset(filter(None, wildcards)), self._heard())
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
            raise _Unreadable(f"a record of the spool that cannot be read: {error}", record) from error
        reason = f"a record of the spool of unknown kind {kind!r}, as of another version"
        raise _Unreadable(reason, record)


def _batch_record(batch: MarketBatch) -> bytes:
    parts = batch.streams, batch.values, batch.received_ns, batch.feed, batch.marker
    return _BATCH + _encode(parts)


def _resumed_record(resumed: Resumed) -> bytes:
    return _RESUMED + _encode((resumed.since_ns, resumed.until_ns))
