"""What a code of a refusal is described by. Pure."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Refusal:
    """One code: who says it (`by`), of what, its meaning, what decides it and what to do now.

    `limits` names those that refuse by it.
    """

    code: str
    by: tuple[Literal["risk", "oms", "broker"], ...]
    meaning: str
    decided_by: str
    do_now: str
    limits: tuple[str, ...] = ()
