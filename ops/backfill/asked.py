"""What a backfill is asked for: symbols, channels, a stretch of time, a name. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from bus.errors import InvalidInput
from bus.streams import checked_name
from bus.symbols import checked_symbol
from bus.trading_day import is_crypto
from ingest.data_api.past_messages import CHANNELS
from ops.backfill.moments import moment_ns, short, shown

# Alpaca's names for where a history of stocks is from.
FEEDS = ("iex", "sip", "boats", "otc")

# What is newer may still change: Alpaca is told of trades up to ten seconds late, and reckons a bar of a
# minute again half a minute after its end (https://alpaca.markets/learn/stock-minute-bars).
SETTLED_NS = 120_000_000_000

# Streams of this name are ingest's, which fills its gaps into them.
_GAPS = "gap-"


class Part(NamedTuple):
    """One symbol and channel, of one feed."""

    symbol: str
    channel: str
    feed: str

    def __str__(self) -> str:
        return f"{self.channel} of {self.symbol}"


class Asked(msgspec.Struct, frozen=True):
    """All parts, from one time on up to another, not including it; `name` is that of the streams."""

    parts: tuple[Part, ...]
    since_ns: int
    until_ns: int
    name: str


def feed_of_setting(feed: str, history_of: Mapping[str, str]) -> str:
    """The feed with the history of that of BACKBONE_FEED. Raises InvalidInput where there is none."""
    found = history_of.get(feed, feed)
    if found not in FEEDS:
        raise InvalidInput(
            f"BACKBONE_FEED={feed} has no history: say with --feed which to ask, one of {', '.join(FEEDS)}"
        )
    return found


def asked(
    symbols: Sequence[str],
    channels: str,
    since: str,
    until: str,
    feed: str,
    name: str | None,
    now_ns: int,
) -> Asked:
    """What the options mean. Raises InvalidInput, naming the option and what is allowed."""
    if feed not in FEEDS:
        raise InvalidInput(f"--feed {feed!r}: use one of {', '.join(FEEDS)}")
    since_ns, until_ns = moment_ns(since, "--from"), moment_ns(until, "--to")
    if until_ns <= since_ns:
        raise InvalidInput(f"--to {until} is not after --from {since}: give a later time")
    settled_ns = now_ns - SETTLED_NS
    if since_ns >= settled_ns:
        raise InvalidInput(
            f"--from {since}: history ends two minutes ago, at {shown(settled_ns)} in New York; give an "
            "earlier time"
        )
    named = f"{short(since_ns)}-{short(until_ns)}" if name is None else checked_name(name, "--name")
    if named.startswith(_GAPS):
        raise InvalidInput(f"--name {name!r}: names with {_GAPS!r} are those of gaps that ingest fills")
    parts = [
        Part(symbol, channel, "crypto" if is_crypto(symbol) else feed)
        for symbol in _symbols(symbols)
        for channel in _channels(channels)
    ]
    return Asked(tuple(parts), since_ns, min(until_ns, settled_ns), named)


def _symbols(typed: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(checked_symbol(one) for some in typed for one in some.split(",")))


def _channels(typed: str) -> list[str]:
    channels = list(dict.fromkeys(one.strip() for one in typed.split(",")))
    for channel in channels:
        if channel not in CHANNELS:
            raise InvalidInput(f"--channels {channel!r}: use {', '.join(CHANNELS)}, with commas between them")
    return channels
