"""What feeds left on disk that are not served any more is taken over by the one that is served now."""

from pathlib import Path

import structlog

from ingest.spool.directories import note_server, of_other_feeds
from ingest.spool.spool import POSITION, SpoolHeld, held_alone, segment_path, segments

log = structlog.get_logger()


def market_prepared(server_url: str, directory: Path) -> None:
    """Make a market feed's directory ready to be opened. Raises OSError."""
    note_server(directory, server_url)
    adopt(directory)


def adopt(directory: Path) -> None:
    """Move into this directory what other feeds of its kind left for its server, the oldest first.

    Each record names its feed. Not where something lies here already: that is newer, and goes first. What
    another process holds is its own. A segment is moved at a time, so that one that dies here loses nothing.
    Raises OSError.
    """
    others = sorted((one for one in of_other_feeds(directory) if segments(one)), key=_last_written_ns)
    if not others:
        return
    with held_alone(directory):
        if segments(directory):
            return
        (directory / POSITION).unlink(missing_ok=True)
        number = 0
        for other in others:
            try:
                with held_alone(other):
                    for segment in segments(other):
                        number += 1
                        segment_path(other, segment).rename(segment_path(directory, number))
            except SpoolHeld:
                continue
            log.warning("spool of another feed taken over", of=other.name, by=directory.name)


def _last_written_ns(directory: Path) -> int:
    return max(segment_path(directory, one).stat().st_mtime_ns for one in segments(directory))
