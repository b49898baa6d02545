"""The settings of the OMS, beside those of the bus and of Alpaca."""

from pathlib import Path

from pydantic import Field

from bus.settings import AlpacaSettings
from oms.broker import SEND_TIMEOUT_S
from oms.budget import PER_MINUTE
from oms.sender import LONGEST_WAIT_S, THREADS
from oms.watch import SETTLE_S

DEFAULT_LIMITS = Path(__file__).with_name("default_limits.toml")


class OmsSettings(AlpacaSettings):
    """How the OMS sends; each field is read from BACKBONE_<FIELD>."""

    oms_limits: Path = DEFAULT_LIMITS
    oms_requests_per_minute: int = Field(default=PER_MINUTE, ge=1)
    oms_threads: int = Field(default=THREADS, ge=2, le=64)
    oms_longest_wait_s: float = Field(default=LONGEST_WAIT_S, gt=0)
    oms_send_timeout_s: float = Field(default=SEND_TIMEOUT_S, gt=0)
    oms_settle_s: float = Field(default=SETTLE_S, gt=0)
