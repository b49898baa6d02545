"""Reads which broker account a journal belongs to."""

from bus import streams
from bus.account_messages import AccountPinned
from bus.codec import MessageCodec
from bus.connection import Client
from bus.errors import Unreadable
from bus.replay import read
from oms.journal.trimmed import trimmed

_PINNED = MessageCodec((AccountPinned,))


async def pinned_account(client: Client, account: str) -> AccountPinned | None:
    """The broker account that the account's journal belongs to; None where it says of none.

    It is the first entry; that of a journal which an earlier release began stands where that was upgraded.
    """
    began = await trimmed(client, account)
    if began is not None:
        return began.pinned()
    async for delivery in read(client, [streams.journal(account)]):
        if delivery.fields.get(b"type") == AccountPinned.wire.encode():
            try:
                return _PINNED.decode(delivery.fields)  # type: ignore[return-value]
            except Unreadable:
                continue
    return None
