"""What ingest reads from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from bus.feed_kinds import CRYPTO, NEWS, OPTIONS, STOCKS
from bus.settings import AlpacaSettings

# The stock feeds whose streams are of Alpaca's second version; all others' are of its beta.
_OF_V2 = ("iex", "sip", "delayed_sip", "test")


class IngestSettings(AlpacaSettings):
    """Alpaca's streams, and what is ingest's own (variables BACKBONE_INGEST_... and BACKBONE_MD_...)."""

    ingest_bar_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="seconds that a bar lasts: 60 at Alpaca; a simulator may play shorter ones",
    )

    # At 100 bytes a message, ten minutes of a thousand a second.
    ingest_buffer_mb: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="megabytes of frames that each feed keeps in memory at most",
    )

    ingest_spool_dir: Path | None = Field(
        default=None,
        description="the directory under which each feed, and the account, spools what its server does not "
        "take within half a second; a standby on this machine must share it to go on with it",
        json_schema_extra={"default_shown": "$BACKBONE_HOME/spool"},
    )

    # At 120 bytes a message, half an hour of five thousand a second.
    ingest_spool_mb: int = Field(
        default=1024,
        ge=1,
        le=1_048_576,
        description="megabytes on disk for each feed and the account; beyond three quarters of it a feed "
        "drops quotes, beyond all of it everything, and tells of it in a gap",
    )

    ingest_answer_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="seconds within which a stream of Alpaca's must open, and answer keys and subscriptions; "
        "one that does not is closed, and connected again after a wait that grows",
    )

    ingest_hold_seconds: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="seconds for which a stream's live messages wait at most after a break, while what it "
        "missed is asked of Alpaca's history and written before them; 0: they never wait",
    )

    ingest_fill_hours: float = Field(
        default=24.0,
        ge=0,
        le=240,
        description="hours that a gap may be old and is still filled; what is older is left to "
        "`backbone backfill`",
    )

    md_budget_mb: int | None = Field(
        default=None,
        ge=1,
        description="megabytes that the market-data server is to hold at most: the oldest market data goes "
        "first",
        json_schema_extra={"default_shown": "80 % of the server's maxmemory, or a quarter of its machine's"},
    )

    # A long weekend: what was heard on a Thursday is there on the Monday.
    md_hours: float = Field(
        default=96.0, gt=0, le=87_600, description="hours for which market data stays on its server"
    )
    md_quotes_hours: float | None = Field(
        default=None,
        gt=0,
        le=87_600,
        description="hours for which quotes and order books stay, which are most of it",
        json_schema_extra={"default_shown": "$BACKBONE_MD_HOURS"},
    )
    md_laggards: Literal["cut", "keep"] = Field(
        default="cut",
        description="what becomes of entries that a live reader is too slow for, past an eighth more than "
        "the budget: they are cut and it is told, or they are kept even if the server fills up",
    )

    # Each reconnect costs a gap.
    ingest_silence_seconds: int = Field(
        default=10,
        ge=2,
        le=3600,
        description="seconds within which a feed that sent something every second is found to be mute and is "
        "connected anew; a second sooner at the earliest, and later where messages came more rarely; a feed "
        "of which nothing was heard yet gets about twelve times as long",
    )

    # News may be quiet for hours; the archive says whether they were.
    ingest_news_seconds: int = Field(
        default=300,
        ge=60,
        le=86_400,
        description="seconds without an article after which Alpaca's archive of news is asked, by one "
        "request, whether one should have come on the stream, which is mute then and is connected anew",
    )

    ingest_hours: Literal["exchange", "always"] = Field(
        default="exchange",
        description="when shares are expected to trade: exchange is New York's calendar; always suits a "
        "simulator that never closes",
    )

    ingest_fallback_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="seconds for which the stock feed is tried before the next of BACKBONE_FEED_FALLBACK "
        "stands in for it; one that the plan does not include is not waited for",
    )

    def feed_names(self, kind: str) -> tuple[str, ...]:
        """What entries call the feed of this kind, and those that may stand in for it, the best first."""
        if kind == STOCKS:
            return (self.feed, *filter(None, self.feed_fallback.split(",")))
        return (self.options_feed if kind == OPTIONS else kind,)

    def stream_url(self, kind: str, name: str) -> str:
        """The address of the stream of this kind and name."""
        given = {STOCKS: self.stocks_stream_url, CRYPTO: self.crypto_stream_url}.get(kind)
        path = {CRYPTO: "v1beta3/crypto/us", NEWS: "v1beta1/news"}.get(kind)
        if path is None:
            path = f"v2/{name}" if name in _OF_V2 else f"v1beta1/{name}"
        server = (self.market_stream_url or "wss://stream.data.alpaca.markets").rstrip("/")
        return given or f"{server}/{path}"

    @property
    def data_api_url(self) -> str:
        """The market-data API's address."""
        return self.data_url or "https://data.alpaca.markets"

    @property
    def updates_url(self) -> str:
        """The trade updates' address."""
        return self.trading_stream_url or f"wss://{self.trading_host}/stream"
