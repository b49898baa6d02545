"""News over REST and on its websocket."""

from collections.abc import Callable
from typing import Any

from agreement import Agreement
from alpaca.data.historical.news import NewsClient
from alpaca.data.live.news import NewsDataStream
from alpaca.data.models.news import NewsSet
from alpaca.data.requests import NewsRequest
from edge import Edge
from frames import Frame, Wire
from market_shapes import NEWS, NEWS_IMAGES, TOKEN, on_the_wire
from plain_socket import opened
from shapes import ListOf
from streaming import listening
from target import Target

Tell = Callable[[Wire, Frame], None]


def test_news_come_in_pages(target: Target, edge: Edge, agrees: Agreement) -> None:
    client = NewsClient(target.key, target.secret, url_override=target.data_url)
    edge.mount(client._session)
    found = client.get_news(NewsRequest(limit=3))
    client._session.close()
    assert isinstance(found, NewsSet)
    assert (edge.last.path, edge.last.asked["limit"]) == ("/v1beta1/news", "3")
    agrees.answer({"news": ListOf(NEWS | {"images": NEWS_IMAGES}), "next_page_token": TOKEN})


async def test_a_subscription_to_news_has_news_alone(target: Target, tell: Tell) -> None:
    async with opened(target, target.stream("/v1beta1/news"), tell) as socket:
        assert await socket.hear() == [{"T": "success", "msg": "connected"}]
        await socket.authenticate()
        found = await socket.ask({"action": "subscribe", "news": ["*"]})
        assert found == {"T": "subscription", "news": ["*"]}
        found = await socket.ask({"action": "unsubscribe", "news": ["*"]})
        assert found == {"T": "subscription", "news": []}


async def test_alpaca_py_subscribes_to_news(target: Target, tell: Tell, agrees: Agreement) -> None:
    def subscribe(stream: NewsDataStream, handler: Any) -> None:
        stream.subscribe_news(handler, "*")

    async with listening(target, NewsDataStream, tell, subscribe) as heard:
        await heard.until(
            lambda: any(b"subscription" in data for data in heard.wire.received()), "the subscription"
        )
        if target.kind == "simulator":
            for message in await heard.some():
                agrees.of(message, on_the_wire("n", NEWS, True), "news")
