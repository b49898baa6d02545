"""Opens files of journals, compressed where their names say so."""

import contextlib
import gzip
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from bus.errors import InvalidInput, Unreadable

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
