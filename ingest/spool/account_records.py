"""What the account spools: broker messages as they are appended to its stream. None is ever dropped."""

import errno
from collections import deque
from collections.abc import Iterable

import msgspec
import structlog

from bus.clock import Clock
from ingest.frames import Kept
from ingest.spool.spool_records import Damaged
from ingest.streams.alpaca_account import BrokerMessage

# Enough to see what is wrong with a disk.
MOST_KEPT = 100

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(BrokerMessage).decode

log = structlog.get_logger()


class AccountRecords:
    """Broker messages as records and back. Mutable: the damaged ones, counted, and kept to be put aside."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.damaged = 0
        self.kept: deque[tuple[str, int, Kept]] = deque(maxlen=MOST_KEPT)
        self._name = name
        self._clock = clock

    def __repr__(self) -> str:
        return f"records of {self._name}, {self.damaged} damaged"

    def left(self, found: bytes | Damaged) -> None:
        """A record that an earlier process left."""

    def copied(self, in_flight: Iterable[BrokerMessage]) -> list[bytes]:
        """The records of what is being appended."""
        return [_encode(message) for message in in_flight]

    def encoded(self, items: Iterable[BrokerMessage], used: float) -> list[bytes]:
        """The records of these. Raises OSError where the spool is full: then they wait in memory."""
        if used >= 1:
            raise OSError(errno.ENOSPC, "the spool is full, and no broker message is dropped")
        return [_encode(item) for item in items]

    def decoded(self, records: Iterable[bytes | Damaged]) -> list[BrokerMessage]:
        """The messages of these records; what cannot be read is kept aside."""
        found = []
        for record in records:
            if isinstance(record, Damaged):
                self._keep(record.reason, record.payload)
                continue
            try:
                found.append(_decode(record))
            except msgspec.MsgspecError as error:
                self._keep(f"a record of the spool that cannot be read: {error}", record)
        return found

    def noted(self, used: float) -> None:
        """What was encoded is on disk, or something was removed there."""

    def _keep(self, reason: str, payload: bytes) -> None:
        self.damaged += 1
        self.kept.append((self._name, self._clock.now_ns(), Kept(reason, payload)))
        log.error("broker message lost with its record", reason=reason)
