"""Appends messages to slow streams, such as requests and the account's, under a lease: a script each batch.

A script is carried out whole or not at all. When its reply is lost, it is read back whether the batch is
there: so each is written exactly once while the lease holds.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from bus.connection import shown
from bus.errors import ReplyLost, ServerAway, ServerUnreachable
from bus.lease import FENCE, Lease
from bus.link import Link, Script

# How far back a message is looked for, and how many entries are read at once for that.
READ_BACK = 2000

# ARGV: lease value, fields per entry, then the values of type, version, data and, where there are four, r.
_APPEND = Script(
    FENCE
    + """\
local names, width, ids = {'type', 'version', 'data', 'r'}, tonumber(ARGV[2]), {}
for i = 2, #KEYS do
  local entry = {'XADD', KEYS[i], '*'}
  for j = 1, width do
    entry[2 + 2 * j] = names[j]
    entry[3 + 2 * j] = ARGV[2 + width * (i - 2) + j]
  end
  ids[i - 1] = redis.call(unpack(entry))
end
return ids
"""
)

# The values of an entry of a slow stream.
Entry = TypeVar("Entry", bound=tuple[bytes, ...])


class Publisher:
    """Appends messages to slow streams (requests, account) under a lease."""

    def __init__(self, url: str, lease: Lease, *, name: str = "publisher") -> None:
        self._link = Link(url, name=name, scripts=(_APPEND,))
        self._lease = lease
        self._turn = asyncio.Lock()

    async def append(self, entries: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str]:
        """Append each entry's (type, version, data) or (type, version, data, received ns) to its stream.

        All entries have the same number of values. Returns their ids. Two entries never carry the same
        values: after a lost reply the batch is recognized by them. Waits for a server that is away or refuses
        for now. Raises Fenced or ServerRefused.
        """
        return await self._link.retried(lambda wire: self.append_now(entries))

    async def append_now(self, entries: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str]:
        """As `append`, but a server that refuses for now is not waited for; opening a connection is.

        It is for an algorithm's driver, which looks again at each request before it tries once more. Raises
        ServerAway where the batch is certainly not there, Fenced, ServerRefused, and InvalidInput where the
        server refuses us at the very first.
        """
        if not entries:
            return []
        keys = [self._lease.key, *(stream for stream, _ in entries)]
        values = [value for _, fields in entries for value in fields]
        async with self._turn:
            try:
                head = (self._lease.value, len(entries[0][1]))
                ids: list[bytes] = await self._link.run_now(_APPEND, keys, (*head, *values))
                return [id_.decode() for id_ in ids]
            except ReplyLost as error:
                found = await self._find(entries)
                if found is None:
                    raise ServerUnreachable(f"{error}; it was not carried out") from error
                return found

    async def missing(self, stream: str, entries: Sequence[Entry]) -> list[Entry]:
        """Those of these that an earlier publisher did not append; each has its receive time (ns) last.

        Waits for a server that is away. Raises ServerRefused.
        """
        found, end = set[tuple[bytes, ...]](), "+"
        first_ns = min(int(values[-1]) for values in entries)
        while True:
            page = await self._link.asked("XREVRANGE", stream, end, "-", "COUNT", READ_BACK)
            appended = [tuple(fields[1::2]) for _, fields in page]
            found.update(appended)
            if len(page) < READ_BACK or int(appended[-1][-1]) < first_ns:
                return [values for values in entries if values not in found]
            end = f"({page[-1][0].decode()}"

    @property
    def server(self) -> str:
        """The server's address, without a password."""
        return shown(self._link.url)

    @property
    def away(self) -> str:
        """Why nothing is appended now; "" while the server takes what comes."""
        return self._link.outage.why

    async def opened(self) -> None:
        """Wait until there is a connection."""
        await self._link.opened()

    async def wait_out(self, error: ServerAway) -> None:
        """Wait before what was refused for now is appended again; said once."""
        await self._link.wait_out(error)

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _find(self, entries: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str] | None:
        """The ids of a batch that the server has after all; None when it does not have it."""
        ids: list[str] = []
        for stream, values in entries:
            for id_, fields in await self._link.asked("XREVRANGE", stream, "+", "-", "COUNT", READ_BACK):
                if tuple(fields[1::2]) == values:
                    ids.append(id_.decode())
                    break
            else:
                return None
        return ids
