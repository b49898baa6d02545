"""Kills what archives and trims a journal, anywhere in its code, and sees that nothing is lost."""

import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import msgspec

from bus import embedded, streams, whole_file
from bus.chain import Chain, Entry
from bus.connection import connect
from bus.errors import BackboneError
from bus.journal_lines import line_of
from oms.journal import archive, archiving, trimming
from oms.journal.archive import Archive
from oms.journal.digest import digest_of
from oms.journal.fold import folded
from oms.journal.trimmed import trimmed
from ops.drill.long_journal import entries
from ops.drill.written_journal import make_snapshot, write_journal

# Few enough that a round takes half a second, and in several segments and steps.
_ENTRIES = 240
_SEGMENT, _STEP = 70, 60
# The snapshot, and the end of what may be trimmed.
_SNAPSHOT_AT = 200

_ACCOUNT = "paper"
_KEEP_DAYS = 1
_SNAPSHOT = streams.snapshot(_ACCOUNT)
_SNAPSHOT_ASIDE = f"{_SNAPSHOT}:aside"

# Where a kill may find them: a line of these files.
_FILES = {module.__file__ for module in (archive, archiving, trimming, whole_file)}
_ARCHIVING, _TRIMMING = "archiving", "trimming"

# What changes something, by its function: killed there first.
_CHANGING = frozenset({"_take", "write", "written", "_rename", "being_written", "_pieces"})


class _Line(NamedTuple):
    file: str
    number: int
    function: str

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}, in {self.function}"


class Killed(msgspec.Struct):
    """What came of it. Mutable: while it goes on. `lines` counts the lines of code at which a kill was."""

    archiving: int = 0
    trimming: int = 0
    lines: int = 0
    seconds: float = 0.0
    differences: list[str] = []

    @property
    def passed(self) -> bool:
        """Whether the journal was whole after every kill."""
        return not self.differences


class _Trial(NamedTuple):
    """A journal on a server of its own, where its archive is, and what it folds to."""

    url: str
    root: Path
    journal: list[Entry]
    digest: str

    async def archived(self) -> None:
        """Archive it."""
        await archiving.archived(self.url, _ACCOUNT, self.root, segment_entries=_SEGMENT)

    async def trim(self) -> None:
        """Trim it, at a time at which all of it is old."""
        await trimming.trim(self.url, _ACCOUNT, self.root, _KEEP_DAYS, time.time_ns(), step=_STEP)

    async def begin(self, *, is_archived: bool) -> None:
        """Make it what it was."""
        shutil.rmtree(self.root, ignore_errors=True)
        client = connect(self.url, name="drill")
        try:
            await client.flushall()
            await write_journal(client, _ACCOUNT, self.journal)
            await make_snapshot(client, self.url, _ACCOUNT, self.journal[_SNAPSHOT_AT][0].decode())
        finally:
            await client.aclose()
        if is_archived:
            await self.archived()

    async def differences(self, when: str) -> list[str]:
        """What is not as it was, a sentence each."""
        client, chain, found = connect(self.url, name="drill"), Chain(), list[str]()
        try:
            began = await trimmed(client, _ACCOUNT)
            kept = Archive(self.root, _ACCOUNT, self.journal[0][0].decode())
            whole = list(kept.entries(chain, began.id)) if began is not None else []
            for id_, fields in await client.xrange(streams.journal(_ACCOUNT)):
                whole.append((id_, [part for item in fields.items() for part in item]))
            if b"".join(map(line_of, whole)) != b"".join(map(line_of, self.journal)):
                found.append(f"{when}: archive and journal are not byte for byte the journal as it was")
            for _ in kept.entries(Chain()):
                pass
            for what, snapshot in (("from the snapshot", True), ("from its first entry", False)):
                if not snapshot:
                    await client.rename(_SNAPSHOT, _SNAPSHOT_ASIDE)
                state = (await folded(self.url, _ACCOUNT, archive=self.root)).state
                if digest_of(state) != self.digest:
                    found.append(f"{when}: {what} it folds to another state")
        except BackboneError as error:
            found.append(f"{when}: {error}")
        finally:
            if await client.exists(_SNAPSHOT_ASIDE):
                await client.rename(_SNAPSHOT_ASIDE, _SNAPSHOT)
            await client.aclose()
        return found


def run(times: int, seed: int, say: Callable[[str], None]) -> Killed:
    """Kill archiving and trimming by turns, so many times in all."""
    began, chosen, found, lines = time.monotonic(), random.Random(seed), Killed(), set[_Line]()
    with tempfile.TemporaryDirectory(prefix="bb-") as name:
        server = embedded.start("orders", Path(name) / "orders")
        try:
            trial = asyncio.run(_new_trial(server.url, Path(name) / "archive"))
            reached = {act: _reached(trial, act) for act in (_ARCHIVING, _TRIMMING)}
            following = {act: _in_turn(reached[act], chosen) for act in reached}
            for number in range(times):
                act = (_ARCHIVING, _TRIMMING)[number % 2]
                line = next(following[act])
                lines.add(line)
                _round(trial, act, line, chosen.randint(1, reached[act][line]), found)
                if (number + 1) % 20 == 0:
                    say(f"killed {number + 1} times ...")
        finally:
            server.stop()
    found.lines, found.seconds = len(lines), round(time.monotonic() - began, 1)
    return found


async def _new_trial(url: str, root: Path) -> _Trial:
    trial = _Trial(url, root, list(entries(_ENTRIES)), "")
    await trial.begin(is_archived=False)
    return trial._replace(digest=digest_of((await folded(url, _ACCOUNT)).state))


def _acting(trial: _Trial, act: str) -> Callable[[], Coroutine[Any, Any, None]]:
    return trial.archived if act == _ARCHIVING else trial.trim


def _reached(trial: _Trial, act: str) -> Counter[_Line]:
    """How often each line is reached where nobody is killed."""
    asyncio.run(trial.begin(is_archived=act == _TRIMMING))
    counted: Counter[_Line] = Counter()
    _traced(_acting(trial, act), counted.update)
    return counted


def _in_turn(reached: Counter[_Line], chosen: random.Random) -> Iterator[_Line]:
    """All lines by turns, those of what changes something first, without end."""
    while True:
        lines = sorted(reached)
        chosen.shuffle(lines)
        yield from sorted(lines, key=lambda line: line.function not in _CHANGING)


def _round(trial: _Trial, act: str, line: _Line, time_of_it: int, found: Killed) -> None:
    """Kill once, look, do it again to its end, and look again."""
    asyncio.run(trial.begin(is_archived=act == _TRIMMING))
    counted: Counter[_Line] = Counter()

    def reach(lines: list[_Line]) -> None:
        counted.update(lines)
        if counted[line] == time_of_it and line in lines:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            _traced(_acting(trial, act), reach)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    where = f"{act}, killed at {line}, time {time_of_it}"
    if not os.WIFSIGNALED(status):
        found.differences.append(f"{where}: it was not reached")
    if act == _ARCHIVING:
        found.archiving += 1
    else:
        found.trimming += 1
    found.differences += asyncio.run(trial.differences(where))
    try:
        asyncio.run(_acting(trial, act)())
    except BackboneError as error:
        found.differences.append(f"{where}, done again: {error}")
    found.differences += asyncio.run(trial.differences(f"{where}, done again"))


def _traced(act: Callable[[], Coroutine[Any, Any, None]], reach: Callable[[list[_Line]], None]) -> None:
    """Run to the end, and tell of each line of the code under trial before it is run."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in _FILES:
            return None
        if event == "line":
            reach([_Line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)])
        return trace

    sys.settrace(trace)
    try:
        asyncio.run(act())
    finally:
        sys.settrace(None)
