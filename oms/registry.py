"""Which algorithms there are, who leads each, what each declared, and which symbols need a price."""

import msgspec
import orjson
import structlog

from bus.connection import Client
from bus.consume import GroupReader
from bus.errors import InvalidInput, ServerAway, ServerRefused
from bus.streams import FILL_FIRST, algorithm_lease, algorithms, checked_name, requests, wants
from bus.symbols import canonical_symbol
from oms.prices.reference_price import channels
from oms.state.inputs import LeasesRead, RequestRead

# How often the registry is looked at, how often the OMS renews its own wants, and how long they hold.
LOOK_S = 0.25
WANT_S = 1.0
_WANTS_TTL_MS = 5000

# What makes a price (`oms/prices/reference_price.py`). Bars are not asked for: where somebody has them they
# help.
_WANTED = ("trades", "quotes", "statuses", "corrections", "cancelErrors", "snapshots")

log = structlog.get_logger()


class Registry:
    """Follows the registered algorithms.

    Mutable: `leases`, the lease value of each as last read, and `declared`, the symbols of each that says
    which it trades.
    """

    def __init__(self, client: Client, account: str) -> None:
        self.leases: dict[str, str] = {}
        self.declared: dict[str, frozenset[str]] = {}
        self._client = client
        self._account = account
        self._refused: set[str] = set()

    def __repr__(self) -> str:
        return f"<registry of {len(self.leases)} algorithms>"

    def read(self) -> LeasesRead:
        """What was last read, for the engine."""
        return LeasesRead(dict(self.leases), dict(self.declared))

    async def look(self, reader: GroupReader) -> None:
        """Have the requests of newly registered algorithms read too, and read who leads each now."""
        found = await self._client.hkeys(algorithms(self._account))
        new = []
        for raw in found:
            name = raw.decode(errors="replace")
            if name in self.leases or name in self._refused:
                continue
            try:
                new.append(checked_name(name, "algorithm"))
            except InvalidInput as error:
                self._refused.add(name)
                log.error("registration not taken", error=str(error))
        if new:
            await reader.add([requests(self._account, name) for name in new])
            self.leases |= dict.fromkeys(new, "")
        await self.read_leases()

    def knows(self, read: RequestRead) -> bool:
        """Whether the lease of a request, where it has one, is that which was read last."""
        lease = getattr(read.message, "lease", None)
        return lease is None or self.leases.get(read.algorithm) == lease

    async def read_leases(self) -> None:
        """Read who leads each algorithm now, and what it declared when it was started."""
        names = list(self.leases)
        if not names:
            return
        together = self._client.pipeline(transaction=False)
        together.mget([algorithm_lease(self._account, name) for name in names])
        together.hmget(algorithms(self._account), names)
        values, entries = await together.execute()
        for name, value, entry in zip(names, values, entries, strict=True):
            self.leases[name] = value.decode(errors="replace") if value else ""
            symbols = _declared(entry)
            if symbols is None:
                self.declared.pop(name, None)
            else:
                self.declared[name] = symbols

    async def want_prices(self, needed: set[str]) -> None:
        """Want what makes the price of these symbols, and of all that somebody on this account wants."""
        own = wants(self._account, "oms")
        symbols = set(needed)
        keys = [
            key
            async for key in self._client.scan_iter(match=wants(self._account, "*"), count=200)
            if key != own.encode()
        ]
        for value in await self._client.mget(keys) if keys else ():
            try:
                listed = orjson.loads(value).values() if value else ()
                symbols.update(symbol for some in listed for symbol in some if "*" not in symbol)
            except (ValueError, AttributeError, TypeError) as error:
                log.warning("wants not readable", error=str(error))
        wanted = {
            channel: sorted(symbol for symbol in symbols if channel in channels(symbol))
            for channel in _WANTED
        }
        wanted[FILL_FIRST] = sorted(needed)
        await self._client.set(own, orjson.dumps(wanted), px=_WANTS_TTL_MS)

    async def leave(self) -> None:
        """Take the OMS's own wants away."""
        try:
            await self._client.delete(wants(self._account, "oms"))
        except (ServerAway, ServerRefused) as error:
            log.warning("wants not removed", error=str(error))


class _Entry(msgspec.Struct, frozen=True):
    symbols: tuple[str, ...] | None = None


_read_entry = msgspec.json.Decoder(_Entry).decode


def _declared(entry: bytes | None) -> frozenset[str] | None:
    """The symbols of a registry's entry; None where it names none, or was written by hand."""
    try:
        symbols = _read_entry(entry).symbols if entry else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if symbols is None else frozenset(map(canonical_symbol, symbols))
