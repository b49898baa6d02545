"""Which limits refuse orders, and with which codes. Pure."""

from oms.limits.limit_kinds import MEANINGS
from oms.risk.refusals import REFUSALS

# By a limit's name; those of which nothing is told halt trading, or say who is responsible.
CODES: dict[str, tuple[str, ...]] = {
    name: tuple(one.code for one in REFUSALS if name in one.limits) for name in MEANINGS
}


def in_shadow(name: str) -> bool:
    """Whether a limit may be held against orders without refusing any: it refuses single orders."""
    return bool(CODES.get(name))
