"""What an algorithm reads: the channels that its class handles, and the streams that carry them."""

from collections.abc import Sequence

from algos.handlers import Handlers
from algos.inputs import ALL_SYMBOLS
from bus.streams import market, market_all_partitions

_HANDLER_OF_CHANNEL = {"trades": "on_trade", "quotes": "on_quote", "bars": "on_bar"}


def channels_of(algorithm: type[Handlers]) -> tuple[str, ...]:
    """The market-data channels whose handlers a class overrides."""
    return tuple(
        channel
        for channel, handler in _HANDLER_OF_CHANNEL.items()
        if getattr(algorithm, handler) is not getattr(Handlers, handler)
    )


def streams_of(symbols: Sequence[str], channels: Sequence[str]) -> list[str]:
    """The streams to read for these symbols and channels; `*` reads every symbol's from few streams."""
    if ALL_SYMBOLS in symbols:
        return [stream for channel in channels for stream in market_all_partitions(channel)]
    return [market(symbol, channel) for channel in channels for symbol in dict.fromkeys(symbols)]
