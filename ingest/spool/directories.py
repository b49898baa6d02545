"""The directories of spools: one for each feed or account and each server, named for both."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from bus.connection import shown
from bus.feed_kinds import kind_of_feed

_DIGITS = 8

# Of a market feed's.
_MARKET = "market-"

# The file that names the server, for people.
_SERVER = "server"


def root_of(given: Path | None) -> Path:
    """The directory under which they are."""
    home = Path(os.environ.get("BACKBONE_HOME") or Path.home() / ".backbone")
    return given or home / "spool"


def directory_of(given: Path | None, what: str, server_url: str) -> Path:
    """The spool of `what`, such as market-iex, for one server: what waits for another is never taken."""
    server = hashlib.sha256(shown(server_url).encode()).hexdigest()[:_DIGITS]
    return root_of(given) / f"{what}-{server}"


def market_directory(given: Path | None, feed: str, server_url: str) -> Path:
    """The spool of a market feed for one server."""
    return directory_of(given, f"{_MARKET}{feed}", server_url)


def of_other_feeds(directory: Path) -> Iterator[Path]:
    """The directories, for the same server, of feeds that write the same streams as this one's feed."""
    feed, server = _named(directory)
    for other in directory.parent.glob(f"{_MARKET}*-{server}"):
        of_other, _ = _named(other)
        if of_other != feed and kind_of_feed(of_other) == kind_of_feed(feed):
            yield other


def note_server(directory: Path, server_url: str) -> None:
    """Say in a directory, which is made, for which server it is. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / _SERVER
    if not file.exists():
        file.write_text(f"{shown(server_url)}\n")


def noted_server(directory: Path) -> str:
    """The address of the server that a directory is for; "" where it does not say."""
    try:
        return (directory / _SERVER).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _named(directory: Path) -> tuple[str, str]:
    feed, _, server = directory.name.removeprefix(_MARKET).rpartition("-")
    return feed, server
