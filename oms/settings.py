"""The settings of the OMS, beside those of the bus and of Alpaca."""

from pathlib import Path

from pydantic import Field

from bus.service import HEARTBEAT_TTL_MS
from bus.settings import AlpacaSettings
from oms.broker.budget import PER_MINUTE
from oms.broker.protocol import SEND_TIMEOUT_S
from oms.broker.sender import CONNECTIONS, LONGEST_WAIT_S
from oms.engine import COMPARE_EVERY_NS
from oms.halts.automatic_halts import HaltAfter
from oms.reconciliation.holdings import OnDifference

DEFAULT_LIMITS = Path(__file__).with_name("default_limits.toml")

# A "not found" counts only when the last request that could have carried the order ended this long ago.
DOUBT_S = 5.0


# A start folds so many entries in well under a second, and a snapshot of a day's orders takes about as long.
SNAPSHOT_EVERY = 10_000


class OmsSettings(AlpacaSettings):
    """How the OMS sends; each field is read from BACKBONE_<FIELD>."""

    oms_limits: Path = Field(default=DEFAULT_LIMITS, description="the file of risk limits, as TOML")
    oms_requests_per_minute: int = Field(
        default=PER_MINUTE, ge=1, description="the broker's limit of requests in a minute"
    )
    oms_connections: int = Field(
        default=CONNECTIONS,
        ge=1,
        le=1024,
        description="how many orders may be on their way to the broker at once",
    )
    oms_longest_wait_s: float = Field(
        default=LONGEST_WAIT_S,
        gt=0,
        le=86_400,
        description="seconds after which an order that still waits for the request budget is refused",
    )
    oms_send_timeout_s: float = Field(
        default=SEND_TIMEOUT_S,
        gt=0,
        le=86_400,
        description="seconds that one call to the broker may take as a whole",
    )
    oms_doubt_s: float = Field(
        default=DOUBT_S,
        gt=0,
        le=86_400,
        description="seconds for which an order may still turn up at the broker after its last request ended",
    )
    oms_compare_s: float = Field(
        default=COMPARE_EVERY_NS / 1e9,
        ge=5,
        le=86_400,
        description="seconds between two comparisons of the book with the broker while orders are taken",
    )
    oms_feed_lost_s: float = Field(
        default=30,
        gt=0,
        le=86_400,
        description="seconds without a market feed, while its market is open, "
        "after which the account is halted",
    )
    oms_updates_lost_s: float = Field(
        default=30,
        gt=0,
        le=86_400,
        description="seconds without trade updates after which the account is halted",
    )
    oms_market_data_lost_s: float = Field(
        default=30,
        gt=0,
        le=86_400,
        description="seconds for which the market-data server cannot be read after "
        "which the account is halted",
    )
    oms_silent_s: float = Field(
        default=30,
        gt=0,
        le=86_400,
        description="seconds without a heartbeat of an algorithm that has open orders "
        "or positions after which its on_silence, in the limits, is done",
    )
    oms_on_difference: OnDifference = Field(
        default="halt_symbol",
        description="what is done about a position that the broker has otherwise: trading in its symbol is "
        "halted, on the account, or it is told and nothing more",
    )
    oms_snapshot_every: int = Field(
        default=SNAPSHOT_EVERY,
        ge=100,
        description="entries of the journal after which the OMS has a snapshot of its state made; of a large "
        "state more seldom",
    )

    def halt_after(self) -> HaltAfter:
        """For how long something may be away before the OMS halts."""
        return HaltAfter(
            feed_ns=int(self.oms_feed_lost_s * 1e9),
            updates_ns=int(self.oms_updates_lost_s * 1e9),
            market_data_ns=int(self.oms_market_data_lost_s * 1e9),
            silent_ns=int(self.oms_silent_s * 1e9),
            alive_ns=HEARTBEAT_TTL_MS * 1_000_000,
        )
