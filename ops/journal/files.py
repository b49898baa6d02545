"""Opens files of journals, compressed where their names say so."""

import contextlib
import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from bus.errors import InvalidInput


@contextlib.contextmanager
def written(name: str) -> Iterator[IO[bytes]]:
    """A file to write, in place under its name only once the block has ended well and it is on the disk."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        raise InvalidInput(f"{name} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def read(name: str | Path) -> Iterator[Iterator[bytes]]:
    """The lines of a file; `-` is standard input. Raises InvalidInput where it cannot be opened."""
    if str(name) == "-":
        yield iter(sys.stdin.buffer)
        return
    try:
        with open(name, "rb") as raw:
            yield iter(gzip.GzipFile(fileobj=raw) if str(name).endswith(".gz") else raw)
    except FileNotFoundError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}") from error
