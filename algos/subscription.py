"""What an algorithm reads: the channels that its class handles, and the streams that carry them."""

from collections.abc import Mapping, Sequence

from algos.handlers import Handlers
from algos.inputs import ALL_SYMBOLS
from bus.errors import InvalidInput
from bus.feed_kinds import CHANNELS, kind_of
from bus.streams import market, market_all_partitions

_HANDLER_OF_CHANNEL = {
    "trades": "on_trade",
    "quotes": "on_quote",
    "bars": "on_bar",
    "updatedBars": "on_updated_bar",
    "dailyBars": "on_daily_bar",
    "statuses": "on_trading_status",
    "lulds": "on_luld",
    "corrections": "on_correction",
    "cancelErrors": "on_canceled_trade",
    "imbalances": "on_imbalance",
    "orderbooks": "on_order_book",
    "news": "on_news",
}


def channels_of(algorithm: type[Handlers]) -> tuple[str, ...]:
    """The market-data channels whose handlers a class overrides."""
    return tuple(
        channel
        for channel, handler in _HANDLER_OF_CHANNEL.items()
        if getattr(algorithm, handler) is not getattr(Handlers, handler)
    )


def subscriptions_of(algorithm: type[Handlers], symbols: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What a class that trades these symbols subscribes to: of each channel the symbols that have it.

    Raises InvalidInput for a handler that would never be called, because no symbol has its channel.
    """
    if ALL_SYMBOLS in symbols:
        symbols = (ALL_SYMBOLS,)
    found: dict[str, tuple[str, ...]] = {}
    for channel in channels_of(algorithm):
        having = (symbol for symbol in symbols if channel in CHANNELS[kind_of(channel, symbol)])
        found[channel] = tuple(dict.fromkeys(having))
        if symbols and not found[channel]:
            kinds = " and ".join(kind for kind, channels in CHANNELS.items() if channel in channels)
            raise InvalidInput(
                f"{algorithm.__name__}.{_HANDLER_OF_CHANNEL[channel]} would never be called: only {kinds} "
                f"have {channel}, and of its symbols ({', '.join(symbols)}) none is among them"
            )
    return found


def streams_of(subscriptions: Mapping[str, Sequence[str]]) -> list[str]:
    """The streams to read for these symbols by channel; `*` reads every symbol's from few streams."""
    return [
        stream
        for channel, symbols in subscriptions.items()
        for symbol in symbols
        for stream in (
            market_all_partitions(channel) if symbol == ALL_SYMBOLS else (market(symbol, channel),)
        )
    ]
