"""Reads the account stream: what the broker said, and when it was last heard before each new connection."""

from bus.connection import Client
from bus.consume import GroupReader
from bus.delivery import Delivery
from bus.entry_position import entry_position
from bus.streams import GROUP_OMS, account
from oms.inputs import BrokerMessageRead

# The reader looks up from a quiet stream this often, so that a stop is noticed.
BLOCK_MS = 100


class AccountStream:
    """The account stream, read through the OMS's group. Mutable: the reader, made by `open`."""

    def __init__(self, url: str, account_name: str, client: Client) -> None:
        self.stream = account(account_name)
        self._url = url
        self._client = client
        self._reader: GroupReader | None = None

    def __repr__(self) -> str:
        return f"<{self.stream}: {self._reader or 'not opened'}>"

    async def open(self, start: str) -> None:
        """Connect; a group that is missing is made at `start`."""
        self._reader = GroupReader(
            self._url, (self.stream,), GROUP_OMS, start=start, block_ms=BLOCK_MS, name="oms-account"
        )
        await self._reader.open()

    async def messages(self) -> list[BrokerMessageRead]:
        """The next entries, oldest first; empty when nothing came for a while."""
        assert self._reader is not None, "it is opened first"
        return [
            BrokerMessageRead(one, await self._heard_before_ns(one))
            for one in await self._reader.deliveries()
        ]

    def acknowledged(self, delivery: Delivery) -> None:
        """Forget an entry whose acknowledgement the journal has written."""
        if self._reader is not None:
            self._reader.acknowledged_elsewhere(delivery)

    async def lag(self) -> int:
        """Entries that were not delivered yet, or not acknowledged."""
        assert self._reader is not None, "it is opened first"
        return await self._reader.lag()

    async def close(self) -> None:
        """Close the connection."""
        if self._reader is not None:
            await self._reader.close()

    async def _heard_before_ns(self, connected: Delivery) -> int:
        """When the broker's stream was last heard before this new connection; 0 where it never was.

        The journal does not say it: it goes on while that stream is away.
        """
        if connected.fields.get(b"type") != b"Connected":
            return 0
        before = connected.id
        while True:
            found = await self._client.xrevrange(self.stream, max=f"({before}", min="-", count=1)
            if not found:
                return 0
            before = found[0][0].decode()
            # It may have been deaf long before it broke.
            if found[0][1].get(b"type") != b"Disconnected":
                return entry_position(before)[0] * 1_000_000
