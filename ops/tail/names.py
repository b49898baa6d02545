"""Resolves what people type after `backbone tail` to streams."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from bus import streams
from bus.errors import InvalidInput

_TAILED_CHANNELS = ("trades", "quotes")


def resolve(names: Sequence[str], known: Collection[str], account: str) -> list[str]:
    """Return the streams that these names mean, each once, in the order given.

    A name is that of a stream, a word (journal, control, account, dead), `events:<algorithm>`,
    `requests:<algorithm>`, or a symbol, which means its trades and quotes. Raises InvalidInput, with names
    that are near, for anything else.
    """
    found: list[str] = []
    for name in names:
        found += _streams(name, known, account)
    return list(dict.fromkeys(found))


def words(account: str) -> dict[str, str]:
    """Return the short words for streams, by word; they need not exist yet."""
    return {
        "journal": streams.journal(account),
        "control": streams.CONTROL,
        "account": streams.account(account),
        "dead": streams.orders_dead(account),
    }


def _streams(name: str, known: Collection[str], account: str) -> list[str]:
    if name in known:
        return [name]
    if name in words(account):
        return [words(account)[name]]
    kind, colon, algorithm = name.partition(":")
    if colon and kind in ("events", "requests"):
        stream = getattr(streams, kind)(account, algorithm)
        if stream in known:
            return [stream]
    of_symbol = [stream for stream in known if stream.startswith(f"md:{name}:")]
    chosen = [stream for stream in of_symbol if streams.market_channel(stream) in _TAILED_CHANNELS]
    if of_symbol:
        return sorted(chosen or of_symbol)
    raise InvalidInput(f"no stream {name!r}{_near(name, known, account)}")


def _near(name: str, known: Collection[str], account: str) -> str:
    names = [*words(account), *_short_names(known, account), *known]
    near = get_close_matches(name, names, n=4, cutoff=0.5)
    if near:
        return f"; near to it are {', '.join(near)}"
    return f"; try {', '.join(names[:8])}" if known else "; there are no streams yet"


def _short_names(known: Collection[str], account: str) -> list[str]:
    """Symbols, and algorithms as `events:<name>` and `requests:<name>`."""
    short = {stream.split(":", 1)[1].rsplit(":", 1)[0] for stream in known if stream.startswith("md:")}
    for kind in ("events", "requests"):
        prefix = getattr(streams, kind)(account, "")
        short |= {f"{kind}:{stream[len(prefix) :]}" for stream in known if stream.startswith(prefix)}
    return sorted(short)
