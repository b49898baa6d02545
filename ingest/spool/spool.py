"""The spool: what waits for a server, on disk, in the order in which it came, until the server has it.

A directory of segments, files to which records are only appended. A small file says until where everything
is written to the server; segments before that are removed. One process at a time holds the directory. Every
step may be the last one before a power cut or a kill: what is read after it is what was appended, in order,
less a record that was not written to its end.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ingest.spool import spool_records
from ingest.spool.spool_records import Damaged

# A segment takes so much, and what is appended at once; it is removed as a whole.
SEGMENT_BYTES = 16 * 1024 * 1024

_SUFFIX = ".spool"
POSITION, _LOCK = "position", "lock"


class SpoolHeld(OSError):
    """Another process holds the directory."""


class Position(NamedTuple):
    """A place between two records: a segment's number, and bytes from its start."""

    segment: int
    offset: int


def segments(directory: Path) -> list[int]:
    """The numbers of a directory's segments, in their order."""
    files = (path for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal() and path.is_file())
    return sorted(int(path.stem) for path in files)


def segment_path(directory: Path, segment: int) -> Path:
    """The file of a segment."""
    return directory / f"{segment:012}{_SUFFIX}"


def confirmed_until(directory: Path) -> Position:
    """Until where a directory says that all is confirmed; the very beginning where that cannot be read."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        segment, offset = (directory / POSITION).read_text().split()
        confirmed = Position(int(segment), int(offset))
        file = segment_path(directory, confirmed.segment)
        # Behind the end of its segment nothing can be: that was another segment of this number.
        if not file.exists() or confirmed.offset <= file.stat().st_size:
            return confirmed
    return Position(0, 0)


@contextlib.contextmanager
def held_alone(directory: Path) -> Iterator[None]:
    """Hold a directory, which is made where it is not there, for a while. Raises SpoolHeld and OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = _locked(directory / _LOCK)
    try:
        yield
    finally:
        os.close(file)


class Held(NamedTuple):
    """What a spool holds: records that were not read, those that are not confirmed, read or not; its size."""

    unread: int = 0
    unconfirmed: int = 0
    size_bytes: int = 0
    is_read: bool = True


class Spool:
    """Records on disk, appended, read and confirmed by one process, and by one thread.

    `each` is called with everything that an earlier process left, in order, before anything is read.
    `is_durable` has each append reach the disk before it returns, so that it outlives a power cut too; any
    append outlives the process. Mutable: the files; how many records are unread, and how many are
    `unconfirmed`, read or not; `cut_bytes`, what of the last record was not written when it was opened.

    Every method raises OSError where the directory does not do what is asked: then nothing was appended.
    """

    def __init__(
        self,
        directory: Path,
        *,
        each: Callable[[bytes | Damaged], None] = lambda found: None,
        segment_bytes: int = SEGMENT_BYTES,
        is_durable: bool = False,
    ) -> None:
        self.unconfirmed = self.cut_bytes = 0
        # Records that were not read, by segment; damaged ones are among them, up to the segment's end.
        self._unread: dict[int, int] = {}
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._is_durable = is_durable
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(directory / _LOCK)
        # The file that is appended to, and the one that is read, with its number.
        self._file = -1
        self._reading = -1, -1
        try:
            self._sizes = {one: self._path(one).stat().st_size for one in segments(directory)}
            self._confirmed = confirmed_until(directory)
            # Appending goes on in a new segment: a file that a kill left is not written again.
            self._number = max(self._sizes, default=self._confirmed.segment)
            self._read_to = self._confirmed
            self._remove_confirmed()
            for segment in self._ordered():
                self._look_through(segment, each)
                if not self._sizes[segment]:
                    self._remove(segment)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"{self.unconfirmed} records in {len(self._sizes)} segments, {self.unread} unread"

    @property
    def held(self) -> Held:
        """What it holds now, for other threads."""
        return Held(self.unread, self.unconfirmed, self.size_bytes, self.is_read)

    @property
    def size_bytes(self) -> int:
        """What all segments take on disk."""
        return sum(self._sizes.values())

    @property
    def unread(self) -> int:
        """How many records were not read; what is damaged since it was appended is none once it is passed."""
        return sum(self._unread.values())

    @property
    def is_read(self) -> bool:
        """Whether everything that it holds was read."""
        return not self._sizes or self._is_read(max(self._sizes))

    def append(self, payloads: Sequence[bytes]) -> None:
        """Append these records, all of them or, where OSError is raised, none."""
        data = spool_records.packed(payloads)
        if self._file < 0 or self._sizes[self._number] >= self._segment_bytes:
            self._begin_segment()
        size = self._sizes[self._number]
        try:
            _write(self._file, data, size)
            if self._is_durable:
                os.fsync(self._file)
        except OSError:
            # A full disk takes a part of it. Where not even that can be cut off, nobody reads so far.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            self._end_segment()
            raise
        self._sizes[self._number] = size + len(data)
        self._unread[self._number] = self._unread.get(self._number, 0) + len(payloads)
        self.unconfirmed += len(payloads)

    def read(self, most_bytes: int) -> list[bytes | Damaged]:
        """The next records that were not read yet, about so many bytes of them; empty where all were read.

        What is damaged comes with what follows it, where anything does.
        """
        found: list[bytes | Damaged] = []
        while all(isinstance(one, Damaged) for one in found):
            segment = next((one for one in self._ordered() if not self._is_read(one)), None)
            if segment is None:
                break
            offset = self._read_to.offset if segment == self._read_to.segment else 0
            some, used = self._records(segment, offset, most_bytes)
            self._read_to = Position(segment, offset + used)
            left = self._unread.get(segment, 0) - sum(not isinstance(one, Damaged) for one in some)
            # How many were damaged nobody knows: at the segment's end none of them is left.
            self._unread[segment] = 0 if self._is_read(segment) else max(left, 0)
            found += some
        return found

    def skip_unread(self) -> None:
        """Take as read what was not: its content is in memory already."""
        if self._file >= 0:
            self._read_to = Position(self._number, self._sizes[self._number])
        self._unread.clear()

    def confirm(self) -> None:
        """Note that everything read is written to the server; what nobody needs any more is removed.

        Where OSError is raised it is forgotten here, and the next process may find it again.
        """
        if self._read_to == self._confirmed and not self._sizes:
            return
        self._confirmed = self._read_to
        self.unconfirmed = self.unread
        # A hint: without it more is compared with what the server has.
        with contextlib.suppress(OSError):
            self._write_position(self._confirmed)
        self._remove_confirmed()

    def close(self) -> None:
        """Close the files and let another process have the directory; what it holds stays."""
        self._end_segment()
        self._end_reading()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _ordered(self) -> list[int]:
        return sorted(self._sizes)

    def _path(self, segment: int) -> Path:
        return segment_path(self._directory, segment)

    def _is_read(self, segment: int) -> bool:
        return Position(segment, self._sizes[segment]) <= self._read_to

    def _begin_segment(self) -> None:
        self._end_segment()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = self._number + 1
        self._file = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._number = number
        self._sizes[number] = 0

    def _end_segment(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _end_reading(self) -> None:
        _, file = self._reading
        if file >= 0:
            os.close(file)
        self._reading = -1, -1

    def _records(self, segment: int, offset: int, most_bytes: int) -> spool_records.Read:
        """Records from here on: at least one, however long it is."""
        left = self._sizes[segment] - offset
        try:
            file = self._opened(segment)
        except FileNotFoundError:
            gone = Damaged(f"segment {segment} of the spool was removed by somebody", b"", left, True)
            return spool_records.Read([gone], left)
        while True:
            data = os.pread(file, min(most_bytes, left), offset)
            # A file that somebody cut shorter has no more than it has.
            is_whole = most_bytes >= left or len(data) < most_bytes
            read = spool_records.read(data, is_whole=is_whole)
            if is_whole:
                return read._replace(used_bytes=left)
            if read.found:
                return read
            most_bytes *= 2

    def _opened(self, segment: int) -> int:
        if segment == self._number and self._file >= 0:
            return self._file
        number, file = self._reading
        if number != segment:
            self._end_reading()
            file = os.open(self._path(segment), os.O_RDONLY)
            self._reading = segment, file
        return file

    def _look_through(self, segment: int, each: Callable[[bytes | Damaged], None]) -> None:
        """Count a segment's records; what was not written to its end when the process died is cut off."""
        offset = self._confirmed.offset if segment == self._confirmed.segment else 0
        while offset < self._sizes[segment]:
            found, used = self._records(segment, offset, self._segment_bytes)
            for one in found:
                each(one)
                if not isinstance(one, Damaged):
                    self._unread[segment] = self._unread.get(segment, 0) + 1
                elif one.is_last and segment == self._number:
                    self.cut_bytes += one.size_bytes
                    used -= one.size_bytes
                    self._sizes[segment] = offset + used
                    os.truncate(self._path(segment), self._sizes[segment])
            offset += used
        self.unconfirmed = self.unread

    def _write_position(self, position: Position) -> None:
        new = self._directory / f"{POSITION}.new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(file, b"%d %d\n" % position, 0)
            if self._is_durable:
                os.fsync(file)
        finally:
            os.close(file)
        os.replace(new, self._directory / POSITION)

    def _remove_confirmed(self) -> None:
        """Remove the segments that are confirmed to their ends, the oldest first."""
        for segment in self._ordered():
            if Position(segment, self._sizes[segment]) > self._confirmed:
                break
            self._remove(segment)

    def _remove(self, segment: int) -> None:
        if segment == self._number:
            self._end_segment()
        if segment == self._reading[0]:
            self._end_reading()
        del self._sizes[segment]
        self._unread.pop(segment, None)
        self._path(segment).unlink(missing_ok=True)


def _write(file: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def _locked(path: Path) -> int:
    """The directory's lock, open. Raises SpoolHeld."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise SpoolHeld(f"another process holds {path.parent}") from None
    return file
