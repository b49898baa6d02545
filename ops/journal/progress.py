"""Says on standard error how far a long work is, once a second."""

import sys
import time

_EVERY_S = 1.0


class Progress:
    """Counts entries. Mutable: `entries`, and when it was last told."""

    def __init__(self, verb: str, of: int | None = None) -> None:
        self.entries = 0
        self._verb = verb
        self._of = of
        self._told = time.monotonic()

    def __repr__(self) -> str:
        of = "" if self._of is None else f" of {self._of:,}"
        return f"{self._verb} {self.entries:,}{of} entries"

    def count(self, entries: int) -> None:
        """Count so many more."""
        self.entries += entries
        if time.monotonic() - self._told >= _EVERY_S:
            self._told = time.monotonic()
            print(f"{self!r} ...", file=sys.stderr, flush=True)
