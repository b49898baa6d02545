"""A mistyped name: which of those that are known it may have meant. Pure."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def did_you_mean(names: Iterable[str], known: Collection[str]) -> str:
    """The end of a sentence, such as `; did you mean AAPL?`; "" where nothing is near these spellings."""
    near = sorted({one for name in names for one in get_close_matches(name, known, n=3)})
    return f"; did you mean {' or '.join(near)}?" if near else ""
