"""Settings of an algorithm's process; variables BACKBONE_ALGO_*."""

from pydantic import Field

from bus.settings import BusSettings


class AlgoSettings(BusSettings):
    """How old a trigger may be, and how long a shutdown may take."""

    algo_trigger_max_age_s: float = Field(
        default=10.0,
        gt=0,
        le=86_400,
        description="seconds after which an order is not asked for any more: its market is gone",
    )
    algo_shutdown_grace_s: float = Field(
        default=15.0,
        gt=0,
        le=86_400,
        description="seconds that an algorithm has to acknowledge a shutdown before its process ends anyway",
    )
