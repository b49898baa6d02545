"""Reads files of journals, compressed where their names say so."""

import contextlib
import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bus.errors import InvalidInput, Unreadable


@contextlib.contextmanager
def read(name: str | Path) -> Iterator[Iterator[bytes]]:
    """The lines of a file; `-` is standard input.

    Raises InvalidInput where it cannot be opened; the lines raise Unreadable where it cannot be read on.
    """
    if str(name) == "-":
        yield iter(sys.stdin.buffer)
        return
    with contextlib.ExitStack() as opened:
        try:
            raw = opened.enter_context(open(name, "rb"))
        except OSError as error:
            raise InvalidInput(f"{name} cannot be read: {error.strerror}") from error
        yield _lines(gzip.GzipFile(fileobj=raw) if str(name).endswith(".gz") else raw)


def _lines(file: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"cannot be read on ({error}): it was damaged, or cut off") from error
