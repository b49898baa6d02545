"""How often something lately came on a stream, and what the chance of a silence is after that. Pure.

Time is counted in slices of a second. What counts is in how many of them anything came at all: a burst makes
a stream no busier than it is. Slices are summed in blocks of a minute.
"""

import math

BLOCK = 60

# Half an hour is remembered. The quietest five minutes in a row stand for it: a market that calms down after
# a burst is not silent.
MOST_BLOCKS = 30
QUIETEST = 5


def log_chance_of_silence(empty: float, slices: float, run: float) -> float:
    """The natural logarithm of the chance that the next `run` slices are empty, as `empty` of `slices` were.

    Laplace's rule of succession, for a run: before anything is seen every share of empty slices is as likely
    as any other; after that the share has a beta distribution, and the chance of a run is a ratio of two beta
    functions. So what was seen for a short time, or rarely, proves little.
    """
    lgamma = math.lgamma
    return lgamma(empty + 1 + run) - lgamma(empty + 1) + lgamma(slices + 2) - lgamma(slices + 2 + run)


class Flow:
    """What came on one stream, in whole blocks, up to the last one in which anything did.

    `share` is that of the slices in which something came, in the quietest minutes; None where none is known.
    Mutable: the blocks and `share`, and `last`, the number of the last slice in which something came; before
    there is one, that of the slice from which the stream is watched.
    """

    __slots__ = ("_blocks", "_next_block", "last", "share")

    def __init__(self, last: int, first_block: int) -> None:
        self.last = last
        self.share: float | None = None
        self._blocks = bytearray()
        self._next_block = first_block

    def __repr__(self) -> str:
        return f"last in slice {self.last}, {list(self._blocks)}"

    def add(self, block: int, present: int) -> None:
        """A block is over, with so many slices in which something came.

        One without any is part of a silence that may still be on: it counts once something comes again.
        """
        if not present or block < self._next_block:
            return
        blocks = self._blocks
        blocks += bytes(min(block - self._next_block, MOST_BLOCKS)) + bytes((present,))
        del blocks[:-MOST_BLOCKS]
        self._next_block = block + 1
        width = min(QUIETEST, len(blocks))
        quietest = min(sum(blocks[i : i + width]) for i in range(len(blocks) - width + 1))
        self.share = quietest / (width * BLOCK)

    def resume(self, block: int) -> None:
        """The blocks until this one were no silence of the stream's own, and do not count."""
        self._next_block = max(self._next_block, block)

    def log_chance(self, run: int) -> float:
        """That of a silence of `run` slices, at the share of the quietest minutes; 0 where none is known."""
        if self.share is None:
            return 0
        slices = len(self._blocks) * BLOCK
        return log_chance_of_silence(slices * (1 - self.share), slices, run)
