"""The archive of a journal: a directory of segments, which follow one another as entries do.

A segment is a compressed file as `backbone journal export` writes it. Its first line is the hash on which its
first entry stands, unless that is the journal's first; the hash of its last entry is where the next goes on.
"""

import contextlib
import fcntl
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bus.chain import NO_HASH, Chain, Entry
from bus.errors import InvalidInput, Unreadable
from bus.journal_files import read
from bus.journal_lines import entries_of, entry_of, line_before, line_of, previous_of
from bus.whole_file import UNFINISHED, sync, written
from oms.journal.archive_segments import Segment, segments_in_order


class Archive:
    """The archive of the account's journal that begins with `first_id`, below the directory `root`."""

    def __init__(self, root: Path, account: str, first_id: str) -> None:
        self.first_id = first_id
        self.directory = root / account / first_id

    def __repr__(self) -> str:
        return f"<archive in {self.directory}>"

    def segments(self) -> list[Segment]:
        """What it holds, oldest first. Raises InvalidInput where two segments hold the same entries, and
        where the directory cannot be read."""
        try:
            return segments_in_order(entry.name for entry in os.scandir(self.directory))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InvalidInput(f"{self.directory} cannot be read: {error.strerror}") from error

    def entries(self, chain: Chain, until: str = "") -> Iterator[Entry]:
        """The entries of all segments, taken by `chain`; up to the entry `until` where one is named.

        Raises InvalidInput, naming file and entry, where one is not what was written, and where `until` is
        not among them.
        """
        for segment in self.segments():
            for entry in self.entries_of(segment, chain):
                yield entry
                if chain.head_id == until:
                    _require_unbroken(self.directory / segment.name, chain)
                    return
        if until:
            raise InvalidInput(f"{self.directory} ends with entry {chain.head_id}: it does not hold {until}")

    def entries_of(self, segment: Segment, chain: Chain) -> Iterator[Entry]:
        """The entries of one segment, taken by `chain`. Raises InvalidInput as `entries` does."""
        path, first_id = self.directory / segment.name, ""
        with read(path) as lines:
            try:
                for entry in entries_of(lines, chain, str(path)):
                    first_id = first_id or chain.head_id
                    yield entry
            except Unreadable as error:
                raise InvalidInput(str(error)) from error
        if (first_id, chain.head_id) != segment:
            raise InvalidInput(
                f"{path} holds the entries {first_id} to {chain.head_id}, not those of its name: give it the "
                "name that it had"
            )

    def end(self) -> Chain:
        """The chain at its last entry, of which the last segment is read; a new one where it holds nothing.

        Raises InvalidInput where that segment is not what was written.
        """
        segments = self.segments()
        if not segments:
            return Chain()
        chain = self._before(segments)
        for _ in self.entries_of(segments[-1], chain):
            pass
        return chain

    def make_durable(self) -> None:
        """Have all of it outlive a loss of power, also what somebody copied here. Raises InvalidInput."""
        files = [self.directory / segment.name for segment in self.segments()]
        try:
            for path in (*files, self.directory, *self.directory.parents[:2]):
                sync(path)
        except OSError as error:
            raise InvalidInput(f"{self.directory} cannot be made durable: {error.strerror}") from error

    def gaps(self) -> list[str]:
        """Where a file is missing, or one cannot be read, a sentence each; no entry is verified.

        Raises InvalidInput as `segments` does.
        """
        found, before, head = list[str](), "", NO_HASH
        for segment in self.segments():
            path = self.directory / segment.name
            if not before and segment.first_id != self.first_id:
                found.append(f"the files before {path} are missing: it does not begin with {self.first_id}")
            try:
                first, last = _ends(path)
            except (OSError, EOFError, zlib.error, Unreadable) as error:
                found.append(f"{path} cannot be read: {error}")
            else:
                if before and first != head:
                    found.append(f"a file is missing between {before} and {path}")
                head = last
            before = str(path)
        return found

    @contextlib.contextmanager
    def being_written(self) -> Iterator[None]:
        """Be the only one who writes to it; what one who was killed left unfinished is taken away.

        Raises InvalidInput where another writes, and where the directory cannot be written.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InvalidInput(f"{self.directory} cannot be written: {error.strerror}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InvalidInput(
                    f"{self.directory}: another archives into it just now; try again when that has ended"
                ) from None
            for left in self.directory.glob(f"{UNFINISHED}*"):
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def write(self, before: Chain, entries: Sequence[Entry]) -> Segment:
        """Write entries that follow the end of `before` as one segment, and read it back before it counts.

        Raises InvalidInput where it cannot be written, and where it is read back otherwise.
        """
        segment = Segment(entries[0][0].decode(), entries[-1][0].decode())
        path = self.directory / segment.name
        with written(str(path), lambda part: _require_read_back(part, before, entries)) as out:
            if before.head != NO_HASH:
                out.write(line_before(before.head))
            out.writelines(map(line_of, entries))
        return segment

    def _before(self, segments: Sequence[Segment]) -> Chain:
        """The chain before the last of these segments, as that one says of itself."""
        path = self.directory / segments[-1].name
        with read(path) as lines:
            try:
                said = previous_of(next(lines, b""))
            except Unreadable as error:
                raise InvalidInput(f"{path}: {error}") from error
        return Chain() if said is None else Chain(segments[-2].last_id if segments[1:] else "?", said)


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The hash on which a file stands, and that of its last entry."""
    text = gzip.decompress(path.read_bytes())
    if not text:
        raise Unreadable("it is empty")
    last = entry_of(text[text.rindex(b"\n", 0, -1) + 1 :] if text.count(b"\n") > 1 else text)
    return previous_of(text[: text.index(b"\n") + 1]) or NO_HASH, last[1][-1]


def _require_unbroken(path: Path, chain: Chain) -> None:
    if chain.wrong_id:
        raise InvalidInput(f"{path}: entry {chain.wrong_id} {chain.why}")


def _require_read_back(path: Path, before: Chain, entries: Sequence[Entry]) -> None:
    with read(path) as lines:
        try:
            found = list(entries_of(lines, Chain(before.head_id, before.head), str(path)))
        except Unreadable as error:
            raise InvalidInput(f"{error}; it was written a moment ago: is the disk sound?") from error
    if found != [(id_, fields) for id_, fields in entries]:
        raise InvalidInput(f"{path} is not read back as it was written a moment ago: is the disk sound?")
