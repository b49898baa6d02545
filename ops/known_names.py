"""The accounts, algorithms and symbols that an orders server knows, and what is doubtful about a name."""

from collections.abc import Collection
from fnmatch import fnmatchcase

import msgspec
import orjson

from bus import streams
from bus.connection import Client
from bus.near_names import did_you_mean
from bus.symbols import spellings

# So many names are listed in a sentence.
_MOST_LISTED = 20


class KnownNames(msgspec.Struct, frozen=True):
    """Accounts with a journal, a registry or an OMS; algorithms that ever registered; symbols that somebody
    who runs now wants, holds or has ordered."""

    accounts: frozenset[str]
    algorithms: frozenset[str]
    symbols: frozenset[str]


async def read_known_names(client: Client) -> KnownNames:
    """Read what the server knows, of every account on it."""
    keys = [key.decode(errors="replace") async for key in client.scan_iter(count=1000)]
    registries = [key for key in keys if fnmatchcase(key, streams.algorithms("*"))]
    wants = [key for key in keys if fnmatchcase(key, streams.wants("*", "*"))]
    accounts = {
        key.partition("{")[2].partition("}")[0]
        for make in (streams.journal, streams.algorithms, streams.oms_lease)
        for key in keys
        if fnmatchcase(key, make("*"))
    }
    algorithms = {name.decode(errors="replace") for key in registries for name in await client.hkeys(key)}
    symbols: set[str] = set()
    for value in await client.mget(wants) if wants else ():
        symbols |= _wanted(value)
    return KnownNames(frozenset(accounts), frozenset(algorithms), frozenset(symbols))


def doubt(scope: str, known: KnownNames) -> str:
    """Say, as a sentence, that nothing known is in a scope, and what is known; empty where there is."""
    kind, _, name = scope.partition(":")
    if kind == "account":
        return _doubt(f"no account is called {name}", (name,), known.accounts)
    if kind == "algorithm":
        return _doubt(f"no algorithm is called {name}", (name,), known.algorithms)
    if kind == "symbol":
        return _doubt(f"nobody wants, holds or orders {name} now", spellings(name), known.symbols)
    return ""


def listed(names: Collection[str]) -> str:
    """Names in their order, as many as a sentence can hold."""
    more = len(names) - _MOST_LISTED
    return ", ".join(sorted(names)[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _doubt(what: str, names: Collection[str], known: Collection[str]) -> str:
    if any(name in known for name in names):
        return ""
    there = f"known are {listed(known)}" if known else "none is known"
    return f"{what}, so this stops nothing yet; {there}{did_you_mean(names, known)}"


def _wanted(value: bytes | None) -> set[str]:
    """The symbols in a reader's wants; those of one that cannot be read are for ingest to complain about."""
    try:
        channels = orjson.loads(value) if value else {}
        return {symbol for listed in channels.values() for symbol in listed if symbol not in ("*", "*/*")}
    except (ValueError, AttributeError, TypeError):
        return set()
