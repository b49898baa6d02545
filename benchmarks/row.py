"""One line of the table: a value, the limit measured in the same run, their ratio, and the bar."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Row:
    """A measured figure and what it must reach.

    `rule` tells which way the bar lies: `at_least` judges value / limit from below, `at_most` from above.
    `cpu_us` is the CPU time that each took of the process that is measured, which other processes of the
    machine change less than they change `value`; None where it was not measured.
    """

    name: str
    value: float
    unit: str
    limit: float
    limit_is: str
    bar: float
    rule: Literal["at_least", "at_most"]
    floor: float | None = None
    cpu_us: float | None = None

    @property
    def ratio(self) -> float:
        """Value over limit."""
        return self.value / self.limit

    @property
    def holds(self) -> bool:
        """Whether the bar is reached, and the absolute floor where there is one."""
        reached = self.ratio >= self.bar if self.rule == "at_least" else self.ratio <= self.bar
        return reached and (self.floor is None or self.value >= self.floor)

    def as_json(self) -> dict[str, Any]:
        """The row for machines."""
        return {
            **{key: value for key, value in asdict(self).items() if key not in ("name", "rule", "limit_is")},
            "ratio": round(self.ratio, 4),
            "ok": self.holds,
        }
