"""What the member of a consumer group remembers of its reads, so that no entry is lost or skipped."""

from collections.abc import Iterable, Mapping, Sequence

from bus.entry_position import entry_position


class GroupBookkeeping:
    """Positions, pending entries and acknowledgements of one member; no reading and no writing.

    Mutable, each by stream:

    - `streams`: what is read, in order.
    - `pending_from`: where our own pending entries are still to be read, the id read up to.
    - `position`: the id that the group stands at, by what it delivered to us.
    - `outstanding`: ids that were delivered and are not acknowledged.
    - `marked`: ids to acknowledge that were not sent yet; `sent`: those whose reply has not come.
    - `lost`: streams whose group is known to be gone and not made again yet.
    - `reading`: where in the pending entries the read under way began; empty for a read of new entries.
    """

    def __init__(self, streams: Iterable[str] = ()) -> None:
        self.streams = list(dict.fromkeys(streams))
        self.pending_from: dict[str, str] = {}
        self.position: dict[str, str] = {}
        self.outstanding: dict[str, dict[str, None]] = {}
        self.marked: dict[str, list[str]] = {}
        self.sent: dict[str, list[str]] = {}
        self.lost: set[str] = set()
        self.reading: dict[str, str] = {}

    def __repr__(self) -> str:
        open_count = sum(len(ids) for ids in self.outstanding.values())
        return f"{len(self.streams)} streams, {open_count} entries not acknowledged"

    def add(self, stream: str) -> None:
        """Read this stream too, its pending entries first."""
        if stream not in self.streams:
            self.streams.append(stream)
            self.pending_from[stream] = "0"

    def connected(self) -> None:
        """On a new connection what is pending comes first, on every stream."""
        self.pending_from = dict.fromkeys(self.streams, "0")

    def joined(self, stream: str, position: str, pending: Iterable[str]) -> None:
        """The group exists: where it stands, and what it has pending for us."""
        self.position[stream] = position
        if found := dict.fromkeys(pending):
            self.outstanding[stream] = found

    def begin_read(self) -> dict[str, str]:
        """What the next read asks for: pending entries, by stream the id to read on from; {}: new ones."""
        self.reading = dict(self.pending_from)
        return self.reading

    def delivered(self, ids_by_stream: Mapping[str, Sequence[str]]) -> None:
        """Note what the read brought; pending entries are read on until none come."""
        for stream, ids in ids_by_stream.items():
            if ids:
                self.outstanding.setdefault(stream, {}).update(dict.fromkeys(ids))
                # What is pending was delivered, also where the reply to that read was lost: the group stands
                # behind it, and made again before it would give out what is acknowledged.
                if not self.reading or entry_position(ids[-1]) > entry_position(self.position[stream]):
                    self.position[stream] = ids[-1]
        for stream, began in self.reading.items():
            if self.pending_from.get(stream) != began:
                continue  # Since the read was sent, it begins anew on another connection.
            if found := ids_by_stream.get(stream):
                self.pending_from[stream] = found[-1]
            else:
                self.pending_from.pop(stream)

    def mark(self, stream: str, entry_id: str) -> None:
        """An entry is handled; its acknowledgement goes out with the next write."""
        self.marked.setdefault(stream, []).append(entry_id)

    def mark_again(self, ids_by_stream: Mapping[str, list[str]]) -> None:
        """Acknowledgements whose reply did not come: to acknowledge twice does no harm."""
        for stream, ids in ids_by_stream.items():
            self.marked[stream] = ids + self.marked.get(stream, [])

    def take_marked(self) -> dict[str, list[str]]:
        """What is marked, taken out; the caller says by `acknowledged` or `mark_again` what came of it."""
        taken, self.marked = self.marked, {}
        return taken

    def send_marked(self) -> None:
        """What is marked left together with the read."""
        self.sent, self.marked = self.marked, {}

    def take_sent(self) -> dict[str, list[str]]:
        """What left with the read, taken out as `take_marked` does."""
        taken, self.sent = self.sent, {}
        return taken

    def acknowledged(self, ids_by_stream: Mapping[str, Iterable[str]]) -> None:
        """The server has these acknowledgements."""
        for stream, ids in ids_by_stream.items():
            outstanding = self.outstanding.get(stream, {})
            for entry_id in ids:
                outstanding.pop(entry_id, None)

    def broken(self) -> None:
        """The connection went: what left with the read is acknowledged again."""
        self.mark_again(self.take_sent())

    def restore_at(self, stream: str, last_generated_id: str) -> str:
        """Where a lost group is to be made again on a stream whose last id is this one."""
        if entry_position(last_generated_id) < entry_position(self.position[stream]):
            # The stream itself is new, its ids began again: nothing in it was delivered yet.
            self.position[stream] = "0-0"
        return self.position[stream]

    def restored(self, stream: str, pending: Iterable[str] | None) -> None:
        """A lost group was made again; `pending` is what could be made pending in it, None for nothing."""
        if pending is not None:
            self.outstanding[stream] = dict.fromkeys(pending)
        self.pending_from[stream] = "0"
        self.lost.discard(stream)
