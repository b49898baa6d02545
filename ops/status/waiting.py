"""What ingest received and its servers do not have, as lines for people. Pure."""

from collections.abc import Iterator, Mapping

from bus.heartbeat import FeedDetails
from ops.sizes import megabytes


def waiting_lines(feeds: Mapping[str, FeedDetails]) -> Iterator[str]:
    """A line for each feed of which something waits on disk, or was dropped, left out or damaged.

    There it says too what of an earlier run was written.
    """
    for kind, feed in sorted(feeds.items()):
        waiting = feed.waiting
        dropped = ", ".join(f"{count:,} of {channel}" for channel, count in sorted(waiting.dropped.items()))
        # What was recovered is written: alone it is nothing to see to, and it counts until ingest ends.
        if not (waiting.disk_bytes or dropped or waiting.left_out or waiting.damaged):
            continue
        parts = (
            (
                waiting.disk_bytes,
                f"{waiting.disk_items:,} wait on disk ({megabytes(waiting.disk_bytes, decimals=1)})"
                f" and {waiting.memory_items:,} in memory",
            ),
            (waiting.recovered, f"{waiting.recovered:,} of an earlier run were written"),
            (dropped, f"dropped for want of room: {dropped}"),
            (
                waiting.left_out,
                f"{waiting.left_out:,} of an earlier run were left out, as another ingest had written on",
            ),
            (waiting.damaged, f"{waiting.damaged:,} records of the spool were damaged"),
        )
        said = "; ".join(sentence for counts, sentence in parts if counts)
        yield f"{kind} ({feed.feed}): {said}"
