"""Selects a client's messages of a moment, each of them encoded once per codec."""

from collections.abc import Sequence

from sim.exchange.market_messages import Article, TimedMessage
from sim.streams.codecs import Codec
from sim.streams.subscription import Subscription


def select(
    subscription: Subscription,
    codec: Codec,
    messages: Sequence[TimedMessage],
    written: dict[str, list[bytes | None]],
) -> list[bytes]:
    """Return the messages of its channels and symbols. Every message passes here: speed counts."""
    chosen = subscription.chosen
    write = codec.message
    cache = written.setdefault(codec.name, [None] * len(messages))
    parts: list[bytes] = []
    for index, message in enumerate(messages):
        symbols = chosen[message.channel]
        if symbols is None or message.symbol in symbols:
            part = cache[index]
            if part is None:
                part = cache[index] = write(message)
            parts.append(part)
    return parts


def select_articles(
    subscription: Subscription,
    codec: Codec,
    articles: Sequence[Article],
    written: dict[str, list[bytes | None]],
) -> list[bytes]:
    """Return the articles about any of its symbols; those about none go to clients that want all."""
    symbols = subscription.chosen["news"]
    cache = written.setdefault(codec.name, [None] * len(articles))
    parts: list[bytes] = []
    for index, article in enumerate(articles):
        if symbols is None or not symbols.isdisjoint(article.symbols):
            part = cache[index] or codec.article(article)
            cache[index] = part
            parts.append(part)
    return parts
