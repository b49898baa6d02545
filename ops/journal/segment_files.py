"""The files that somebody names on the command line: of a directory, the segments of an archive in it."""

from collections.abc import Sequence
from pathlib import Path

from bus.errors import InvalidInput
from oms.journal.archive_segments import segments_in_order


def files_in_order(named: Sequence[Path]) -> list[Path]:
    """The files, in the order in which they were named; those of a directory oldest first.

    Raises InvalidInput for a directory without segments.
    """
    found = []
    for path in named:
        if not path.is_dir():
            found.append(path)
            continue
        segments = segments_in_order(entry.name for entry in path.iterdir())
        if not segments:
            raise InvalidInput(
                f"{path} holds no file of an archive: name the directory of one journal, which is below that "
                "of its account, such as archive/paper/1767225600000-0"
            )
        found += [path / segment.name for segment in segments]
    return found
