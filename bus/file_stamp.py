"""What tells one content of a file from another, without reading it."""

import os
from pathlib import Path

Stamp = tuple[int, ...]


def stamp_of(path: Path) -> Stamp:
    """Another one wherever the file was written, replaced or taken away; empty where there is no file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (error.errno or 0,)
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
