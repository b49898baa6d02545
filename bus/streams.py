"""Names of streams, keys and groups, and which server each lives on. Nothing else spells them.

`{...}` in a name is literal: it is a Redis hash tag, so that what one script touches lies in one slot.
"""

import re
from zlib import crc32

from bus.errors import InvalidInput

# The market-data server.

# Eight partitions keep a reader of everything below the count at which a blocking read gets dear
# (measured: 16 keys cost twice what one costs, 500 sixty times).
ALL_PARTITIONS = 8

# Above this many per-symbol streams on one connection a reader should want `*` instead.
STREAMS_PER_READER = 50


def market(symbol: str, channel: str) -> str:
    """The stream of one symbol and channel: `md:AAPL:trades`."""
    return f"md:{symbol}:{channel}"


def market_all(channel: str, symbol: str) -> str:
    """The partition of `md-all:<channel>` that carries this symbol."""
    return f"md-all:{channel}:{crc32(symbol.encode()) % ALL_PARTITIONS:02d}"


def market_all_partitions(channel: str) -> tuple[str, ...]:
    """Every partition of a channel, for a reader of all symbols."""
    return tuple(f"md-all:{channel}:{number:02d}" for number in range(ALL_PARTITIONS))


# Patterns for SCAN that find the streams which grow with the market, and those that were backfilled.
MARKET_STREAMS = ("md:*", "md-all:*")
HISTORY_STREAMS = "hist:*"


def cuts(group: str) -> str:
    """A hash: what was cut from market streams before this consumer group was given it.

    A field `<stream> <first id cut>` holds `<first id kept> <entries cut>`; whoever reads through the group
    takes it away once it was handled.
    """
    return f"cuts:{group}"


def market_lease(feed: str) -> str:
    """Guards what one feed (iex, sip, crypto, ...) writes to market streams, on their server."""
    return f"lease:market:{feed}"


def history(symbol: str, channel: str, name: str) -> str:
    """What was brought in afterwards: nothing can be put into the middle of a stream."""
    return f"hist:{symbol}:{channel}:{name}"


def history_record(symbol: str, channel: str, name: str) -> str:
    """What of it a backfill has brought so far: a string of JSON, written with each piece."""
    return f"hist-record:{symbol}:{channel}:{name}"


def is_market_data(stream: str) -> bool:
    """Whether a stream is of market data, live or brought in afterwards, by its name."""
    return stream.startswith(("md:", "md-all:", "hist:"))


def is_history(stream: str) -> bool:
    """Whether a stream was brought in afterwards."""
    return stream.startswith("hist:")


def open_gaps(feed: str) -> str:
    """A hash: the gaps in streams of this feed that are still to be filled."""
    return f"gaps:{feed}"


def market_counts(feed: str) -> str:
    """A hash: what ingests have ever counted of this feed."""
    return f"counts:{feed}"


def market_parts(stream: str) -> tuple[str, str]:
    """Symbol and channel of an `md` or `hist` stream; the symbol of an `md-all` one is `*`."""
    kind, rest = stream.split(":", 1)
    if kind == "md-all":
        return "*", rest.split(":")[0]
    symbol, channel = rest.split(":")[:2]
    return symbol, channel


def market_channel(stream: str) -> str:
    """The channel of an `md`, `md-all` or `hist` stream."""
    return market_parts(stream)[1]


def market_symbol(stream: str) -> str:
    """The symbol of an `md` stream."""
    return stream.split(":", 2)[1]


def journal_head(account_name: str) -> str:
    """Id and hash of the last entry of an account's journal, away from the server that holds it."""
    return f"journal-head:{{{account_name}}}"


# Both servers.

# Never there: a write of it is refused where any would be, and writes nothing.
WRITE_PROBE = "write-probe"


# The orders server.

CONTROL = "control:{control}"
HALT = "halt:{control}"
DEAD = "dead"
GROUP_OMS = "oms"

# One fixed member a group: two members of one group would split a stream between them.
MEMBER = "leader"

# Orders and trades that nobody of ours asked for are booked under this name.
EXTERNAL = "external"

# Beside channels, in a reader's wants: the symbols whose gaps are filled first, those with money in them.
FILL_FIRST = "first"

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_HEARTBEAT = re.compile(r"alive:\{([^{}:]+)\}:([^:]+):([^:]+)")


def account(name: str) -> str:
    """Broker messages as received, raw."""
    return f"account:{{{name}}}"


def account_lease(name: str) -> str:
    """Guards writes to the account stream."""
    return f"account:{{{name}}}:lease"


def account_keys(name: str) -> str:
    """A set: the API keys that the OMS has found to be of this account, by their fingerprints."""
    return f"account:{{{name}}}:keys"


def requests(account_name: str, algorithm: str) -> str:
    """What one algorithm asks of the OMS."""
    return f"orders:{{{account_name}}}:requests:{algorithm}"


def events(account_name: str, algorithm: str) -> str:
    """What became of one algorithm's requests."""
    return f"orders:{{{account_name}}}:events:{algorithm}"


def journal(account_name: str) -> str:
    """Every decision and every broker message, in order."""
    return f"orders:{{{account_name}}}:journal"


def journal_told(account_name: str) -> str:
    """The id up to which what stands in the journal was told to the algorithms."""
    return f"orders:{{{account_name}}}:told"


def orders_dead(account_name: str) -> str:
    """Order traffic that could not be handled."""
    return f"orders:{{{account_name}}}:dead"


def of_orders(account_name: str) -> str:
    """A pattern for SCAN that finds every key of an account's orders; see `is_lease`."""
    return f"orders:{{{account_name}}}:*"


def is_lease(key: str) -> bool:
    """Whether a key of an account's orders is a lease, or counts the tokens of one."""
    return ":lease:" in key


def kept(account_name: str, label: str, key: str) -> str:
    """What a key of an account is called once it was set aside with the journal, in the same hash slot."""
    plain = key.replace(f":{{{account_name}}}", "", 1)
    return f"kept:{{{account_name}}}:{label}:{plain}"


def snapshot(account_name: str) -> str:
    """A hash: the OMS's state after an entry of the journal, so that a start need not read what is before."""
    return f"orders:{{{account_name}}}:snapshot"


def being_written(key: str) -> str:
    """Where a key is written piece by piece until all of it is there, in the same hash slot."""
    return f"{key}:unfinished"


def trimmed(account_name: str) -> str:
    """Where the journal begins, once entries that the archive holds were taken from its beginning."""
    return f"orders:{{{account_name}}}:trimmed"


def being_imported(key: str) -> str:
    """Where a stream is written until all of it is there."""
    return f"{key}:import"


def oms_lease(account_name: str) -> str:
    """Guards the journal and every events stream of an account."""
    return f"orders:{{{account_name}}}:lease:oms"


def algorithm_lease(account_name: str, algorithm: str) -> str:
    """Guards one algorithm's requests stream; its holder is the leader."""
    return f"orders:{{{account_name}}}:lease:{algorithm}"


def algorithms(account_name: str) -> str:
    """Registry of algorithms: a hash, name to registration."""
    return f"orders:{{{account_name}}}:algos"


def alive(account_name: str, process: str, instance: str) -> str:
    """The heartbeat of one instance of a process; "*" for process or instance makes a pattern for SCAN."""
    return f"alive:{{{account_name}}}:{process}:{instance}"


def heartbeats() -> str:
    """A pattern for SCAN that finds every heartbeat: of all accounts, and of older versions."""
    return "alive:*"


def heartbeat_names(key: str) -> tuple[str, str, str]:
    """The account, process and instance in a heartbeat's key; account "" where the key has another shape."""
    found = _HEARTBEAT.fullmatch(key)
    return found.groups() if found else ("", key.partition(":")[2], "")  # type: ignore[return-value]


def wants(account_name: str, reader: str) -> str:
    """The channels and symbols that a reader of an account wants; "*" for either makes a pattern for SCAN."""
    return f"wants:{account_name}:{reader}"


def refused_wants(account_name: str, reader: str, feed_kind: str) -> str:
    """What of a reader's wants the feed of this kind (one of FEED_KINDS) does not carry, and why."""
    return f"refused-wants:{account_name}:{reader}:{feed_kind}"


def algorithm_group(account_name: str, algorithm: str) -> str:
    """An algorithm's consumer group on every stream that it reads.

    It names the account, because accounts share the market streams: the same algorithm on two accounts
    would otherwise split its ticks between them.
    """
    return f"algo:{account_name}:{algorithm}"


# What people type.


def checked_name(name: str, what: str = "name") -> str:
    """The name of an algorithm, account or process, or InvalidInput that says what is allowed."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{what} {name!r}: use 1 to 32 of a-z, 0-9 and '-'")
    if name in (EXTERNAL, GROUP_OMS):
        raise InvalidInput(f"{what} {name!r} is taken by the backbone itself: choose another")
    return name
