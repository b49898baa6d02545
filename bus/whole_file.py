"""Write a file that is there whole or not at all, compressed where its name says so."""

import contextlib
import gzip
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from bus.errors import InvalidInput

# What the name of a file begins with until it is whole.
UNFINISHED = "unfinished-"


@contextlib.contextmanager
def written(name: str, check: Callable[[Path], None] = lambda path: None) -> Iterator[IO[bytes]]:
    """A file to write, in place under its name only once the block has ended well and it is on the disk.

    `check` is given it, under another name, when all is written, and raises where it must not count.
    """
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    part = path.with_name(UNFINISHED + path.name)
    try:
        with open(part, "wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        check(part)
        _rename(part, path)
    except OSError as error:
        raise InvalidInput(f"{name} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _rename(path: Path, to: Path) -> None:
    """Give a file another name in its directory, which holds over a loss of power too."""
    path.replace(to)
    sync(to.parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, outlive a loss of power. Raises OSError."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
