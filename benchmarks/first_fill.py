"""How long a newcomer waits: `make demo` on a warm install to the first fill."""

from pathlib import Path

from benchmarks.demo_run import demo
from benchmarks.row import Row

LONGEST_S = 8.0


def measure(directory: Path) -> Row:
    """From the command to a fill in the journal, in seconds."""
    with demo(directory) as run:
        value = run.seconds_to_first_fill()
    return Row(
        name="first_fill",
        value=value,
        unit="s",
        limit=LONGEST_S,
        limit_is="what a newcomer waits without wondering",
        bar=1,
        rule="at_most",
    )
