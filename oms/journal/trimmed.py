"""Where a journal's stream begins, once entries that its archive holds were taken from its beginning."""

import msgspec

from bus import streams
from bus.account_messages import AccountPinned, Trading
from bus.chain import Chain
from bus.connection import Client
from bus.entry_position import entry_position
from bus.errors import InvalidInput


class Trimmed(msgspec.Struct, frozen=True):
    """What was taken from a journal's beginning: all entries up to `id`, whose hash was `hash`.

    These were `entries`, the first of them `first_id`. `number` and `trading` are those of the account at the
    broker, which stand in one of them.
    """

    id: str
    hash: str
    first_id: str
    entries: int
    number: str
    trading: str

    def chain(self) -> Chain:
        """The journal's chain up to where the stream begins."""
        return Chain(self.id, self.hash.encode())

    def pinned(self) -> AccountPinned | None:
        """The broker account that the journal belongs to; None where it says of none."""
        if not self.number:
            return None
        first_ms, _ = entry_position(self.first_id)
        trading: Trading = "live" if self.trading == "live" else "paper"
        return AccountPinned(number=self.number, trading=trading, at_ns=first_ms * 1_000_000)


_decode = msgspec.json.Decoder(Trimmed).decode


async def trimmed(client: Client, account: str) -> Trimmed | None:
    """What was taken from the journal's beginning; None where it is whole.

    Raises InvalidInput where what is noted of it cannot be read.
    """
    key = streams.trimmed(account)
    noted = await client.get(key)
    if noted is None:
        return None
    try:
        return _decode(noted)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{key} cannot be read ({error}): somebody wrote it by hand") from error
