"""Shows how far a backfill is: a bar in a terminal, elsewhere a line every few seconds, on standard error."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from ingest.data_api.request_budget import RequestBudget
from ops.backfill.asked import Part
from ops.backfill.record import Record

_LINE_EVERY_S = 5.0


class _Waiting(ProgressColumn):
    """Says when the next request waits for its turn."""

    def __init__(self, budget: RequestBudget) -> None:
        super().__init__()
        self._budget = budget

    def render(self, task: Task) -> Text:
        """The words, or nothing."""
        return Text("at the rate limit" if self._budget.waiting_since_ns else "")


class BackfillProgress:
    """How far all parts are, each by the time that it covers; a context.

    Mutable: parts done, messages so far, and what was told last, and when.
    """

    def __init__(self, parts: int, until_ns: int, budget: RequestBudget) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._until_ns = until_ns
        self._budget = budget
        self._done = 0
        self._parts = parts
        self._new = 0
        self._told = time.monotonic()
        self._last = ""
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[new]:,} messages"),
            TimeElapsedColumn(),
            _Waiting(budget),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, new=0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def at(self, part: Part, record: Record, new: int = 0) -> None:
        """A part is so far, with so many messages more."""
        self._new += new
        covered = (record.through_ns - record.since_ns) / (self._until_ns - record.since_ns)
        share = (self._done + min(covered, 1.0)) / self._parts
        self._bar.update(self._task, description=f"{part}", completed=share, new=self._new)
        if not self._console.is_terminal and time.monotonic() - self._told >= _LINE_EVERY_S:
            self._told = time.monotonic()
            self.tell(f"{part}: {share:.0%}, {self._new:,} messages ...")

    def done(self) -> None:
        """The next part begins."""
        self._done += 1

    def tell(self, sentence: str) -> None:
        """A sentence, above the bar; not the same again and again."""
        if sentence != self._last:
            self._last = sentence
            self._console.print(sentence, soft_wrap=True)
