"""What was cut from market streams before a consumer group was given it, told to who reads through the group.

Whoever trims notes it beside the group, in the same step (`bus/streams.py`, `cuts`). The reader asks for the
notes behind each read, so that it hears of a loss before what follows it, and takes a note away once it was
handled, if it still says the same.
"""

from collections.abc import Collection, Mapping

from bus.delivery import CUT, Delivery
from bus.entry_position import entry_position
from bus.streams import cuts
from bus.wire import Reply, pack

# Not where the note has grown since: then there is more to be told.
_TAKE_AWAY = """\
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
"""


class CutNotes:
    """The notes of one group, as one of its readers follows them.

    Mutable: what it was told and what it has handled, each by the note's field; how many entries were cut.
    """

    def __init__(self, group: str) -> None:
        self.count = 0
        self._key = cuts(group)
        self._asking = pack("HGETALL", self._key)
        self._told: dict[bytes, bytes] = {}
        self._handled: dict[bytes, bytes] = {}

    def packed(self) -> tuple[bytes, int]:
        """What goes out behind a read, and how many replies it brings."""
        if not self._handled:
            return self._asking, 1
        away = (
            pack("EVAL", _TAKE_AWAY, 1, self._key, field, value) for field, value in self._handled.items()
        )
        return b"".join((*away, self._asking)), len(self._handled) + 1

    def understood(self, reply: Reply, streams: Collection[str], until: Mapping[str, str]) -> list[Delivery]:
        """Deliveries for what is news to this reader of these streams.

        Where pending entries are read again, `until` says how far, by stream: what was cut behind them is
        told later.
        """
        if not reply and not self._told:
            return []
        notes = dict(zip(reply[::2], reply[1::2], strict=True))
        self._handled = {field: value for field, value in self._handled.items() if notes.get(field) == value}
        self._told = {field: value for field, value in self._told.items() if field in notes}
        found = []
        for field, value in notes.items():
            stream, first_id = field.decode().split(" ")
            if stream not in streams or self._told.get(field) == value:
                continue
            if stream in until and entry_position(until[stream]) < entry_position(first_id):
                continue
            self.count += _count(value) - _count(self._told.get(field, b" 0"))
            self._told[field] = value
            fields = {CUT: b" ".join((first_id.encode(), value))}
            found.append(Delivery(stream, first_id, fields, trimmed=True))
        return found

    def handled(self, delivery: Delivery) -> bool:
        """Note that a delivery of ours was handled; False where it is none."""
        told = delivery.fields.get(CUT)
        if told is None:
            return False
        first_id, _, value = told.partition(b" ")
        self._handled[b" ".join((delivery.stream.encode(), first_id))] = value
        return True


def _count(value: bytes) -> int:
    return int(value.rpartition(b" ")[2])
