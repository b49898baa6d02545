"""The entries of one frame, which ingest writes at once."""

# The marker of entries that were missed and came from history.
BACKFILLED = "b"


class MarketBatch:
    """The entries of one frame, laid out as the script takes them.

    `streams` names a stream for each entry; `values` holds two items an entry: the id's millisecond and the
    message as JSON. `received_ns` is when ingest received the frame; `marker` is the type of gap entries, or
    BACKFILLED.
    """

    __slots__ = ("feed", "marker", "received_ns", "streams", "values")

    def __init__(
        self,
        streams: list[str],
        values: list[int | bytes],
        received_ns: int,
        feed: str = "",
        marker: str = "",
    ) -> None:
        self.streams = streams
        self.values = values
        self.received_ns = received_ns
        self.feed = feed
        self.marker = marker

    def __repr__(self) -> str:
        return f"{len(self.streams)} entries received at {self.received_ns}"
