"""The settings of a run of the simulator."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sim.exchange.pace import Pace
from sim.keys import ApiKey
from sim.streams.terms import Terms


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen."""

    host: str
    port: int
    control_port: int
    keys: tuple[ApiKey, ...]
    symbols: tuple[str, ...]
    pace: Pace
    seed: int
    data: Path | None
    speed: float
    keeps_times: bool
    bar_seconds: int
    cash: Decimal
    start_ns: int | None
    is_virtual: bool
    never_closes: bool
    fractions_at_market_only: bool
    tells_pending_new: bool
    partial_chance: float
    requests_per_minute: int
    data_requests_per_minute: int
    stream_terms: Terms
    mistakes_a_minute: float
    news_a_minute: float
    faults: tuple[dict[str, Any], ...]
    chaos_seed: int | None
    chaos_faults: tuple[str, ...]
    chaos_every_ms: int
    prints_json: bool
