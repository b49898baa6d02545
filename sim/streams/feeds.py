"""The market-data endpoints: the channels of each, what it refuses, and its plan."""

from dataclasses import dataclass

_STOCK_CHANNELS = (
    "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections",
    "cancelErrors",
)  # fmt: skip
_CRYPTO_CHANNELS = ("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars")


@dataclass(frozen=True, slots=True)
class Feed:
    """One kind of market data.

    `channels` are in every acknowledgement, in Alpaca's order; `rare_channels` only while they are subscribed
    to. Channels in `never_every` refuse `*` (error 410). The free plan does not include `paid_paths` (error
    409). A feed that `is_binary_only` speaks msgpack whatever the client asks for. One that `shares_path`
    leaves plain requests to REST, which Alpaca has on another host.
    """

    name: str
    paths: tuple[str, ...]
    channels: tuple[str, ...]
    rare_channels: tuple[str, ...] = ()
    never_every: tuple[str, ...] = ()
    paid_paths: tuple[str, ...] = ()
    is_binary_only: bool = False
    shares_path: bool = False

    @property
    def every_channel(self) -> tuple[str, ...]:
        """The channels and the rare ones."""
        return self.channels + self.rare_channels


STOCKS = Feed(
    "stocks",
    # Delayed data are not delayed here: nothing can be tested by waiting a quarter of an hour.
    ("/v2/iex", "/v2/sip", "/v2/delayed_sip", "/v1beta1/boats", "/v1beta1/overnight"),
    _STOCK_CHANNELS,
    rare_channels=("imbalances",),
    paid_paths=("/v2/sip", "/v1beta1/boats"),
)
CRYPTO = Feed(
    "crypto", ("/v1beta3/crypto/us", "/v1beta3/crypto/us-1", "/v1beta3/crypto/eu-1"), _CRYPTO_CHANNELS
)
OPTIONS = Feed(
    "options",
    ("/v1beta1/indicative", "/v1beta1/opra"),
    ("trades", "quotes"),
    never_every=("quotes",),
    paid_paths=("/v1beta1/opra",),
    is_binary_only=True,
)
NEWS = Feed("news", ("/v1beta1/news",), ("news",), shares_path=True)
TEST = Feed("test", ("/v2/test",), _STOCK_CHANNELS)
FEEDS = (STOCKS, CRYPTO, OPTIONS, NEWS, TEST)
