"""From Alpaca's history to where it was asked for, part by part, from where an earlier run left off."""

import asyncio
from collections.abc import Iterator, Mapping

import msgspec

from bus.errors import BackboneError, InvalidInput
from bus.retry import waits_s
from ingest.data_api.alpaca_data import DataUnreachable, NotGiven
from ingest.data_api.alpaca_history import History
from ops.backfill.asked import Asked, Part
from ops.backfill.destination import Destination
from ops.backfill.moments import shown
from ops.backfill.progress import BackfillProgress
from ops.backfill.record import Message, Record, StillMissing

# Failures in a row, with waits that double from one second to half a minute: about two minutes.
MOST_TRIES = 8
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0

GO_ON = "what was brought is kept; run the same command again to go on"

# What Alpaca answers to a request that can never succeed.
_INVALID = (400, 404, 422)
_NOT_IN_THE_PLAN = 403


class Brought(msgspec.Struct, frozen=True):
    """One part: where it can be read, how many messages it has, and how many of them are new."""

    symbol: str
    channel: str
    feed: str
    where: str
    messages: int
    new: int


class Bringing:
    """One backfill; `histories` has a client for each feed that is asked."""

    def __init__(
        self,
        asked: Asked,
        histories: Mapping[str, History],
        destination: Destination,
        progress: BackfillProgress,
    ) -> None:
        self._asked = asked
        self._histories = histories
        self._destination = destination
        self._progress = progress

    async def run(self) -> list[Brought]:
        """Bring all parts. Raises InvalidInput where what is there does not fit, or a symbol is unknown;

        BackboneError where history cannot be had, now or at all.
        """
        records = {part: await self._fitting_record(part) for part in self._asked.parts}
        brought = []
        for part, record in records.items():
            there = await self._bring(part, record)
            new = there.messages - (record.messages if record else 0)
            where = self._destination.where(part)
            brought.append(Brought(part.symbol, part.channel, part.feed, where, there.messages, new))
            self._progress.done()
        await self._destination.finish(self._asked.parts)
        return brought

    async def _fitting_record(self, part: Part) -> Record | None:
        record = await self._destination.record(part)
        if record is None:
            return None
        wanted = part.feed, self._asked.since_ns
        if (record.feed, record.since_ns) != wanted or record.through_ns > self._asked.until_ns:
            raise InvalidInput(
                f"{self._destination.where(part)} has {part} of {record.feed} from {shown(record.since_ns)} "
                f"to {shown(record.through_ns)} (New York): ask for that feed and --from, and no earlier "
                "--to, or bring it somewhere else"
            )
        return record

    async def _bring(self, part: Part, before: Record | None) -> Record:
        """Bring what is missing of a part; returns the record of all of it."""
        waits, tries = waits_s(_FIRST_WAIT_S, _LONGEST_WAIT_S), 0
        while True:
            reached = before.messages if before else 0
            try:
                return await self._once(part, before)
            except NotGiven as error:
                if error.code in _INVALID:
                    raise InvalidInput(f"{part} from {part.feed}: {error.text}; leave it out") from error
                other = "; give an earlier --to, or another --feed" if error.code == _NOT_IN_THE_PLAN else ""
                raise BackboneError(f"{part} from {part.feed}: {error}{other}") from error
            except DataUnreachable as error:
                before = await self._destination.record(part)
                if before is not None and before.messages > reached:
                    waits, tries = waits_s(_FIRST_WAIT_S, _LONGEST_WAIT_S), 0
                tries += 1
                if tries == MOST_TRIES:
                    raise BackboneError(f"{part}: {error}; {GO_ON}") from error
                self._progress.tell(f"{part}: {error}; asking again")
                await asyncio.sleep(next(waits))

    async def _once(self, part: Part, before: Record | None) -> Record:
        record = before or Record(part.feed, self._asked.since_ns, self._asked.since_ns)
        until_ns, missing = self._asked.until_ns, StillMissing(record)
        self._progress.at(part, record)
        if record.through_ns >= until_ns:
            return record
        pages = self._histories[part.feed].pages(part.channel, [part.symbol], record.through_ns, until_ns - 1)
        async for page in pages:
            for messages in _pieces(missing.of(page), self._destination.piece):
                after = record.with_piece(messages)
                await self._destination.add(part, before, after, messages)
                before = record = after
                self._progress.at(part, record, new=len(messages))
        after = record.up_to(until_ns)
        await self._destination.add(part, before, after, ())
        return after


def _pieces(messages: list[Message], most: int) -> Iterator[list[Message]]:
    for first in range(0, len(messages), most):
        yield messages[first : first + most]
