"""Mistakes of the tape and news that happen by themselves: the same in every run of a seed."""

import asyncio
import hashlib
import json
from typing import Any

import requests
from simulator import Simulator
from websockets.asyncio.client import connect

MISTAKES = {"c", "x", "u"}
MINUTES = 3
WANTED = {
    "/v2/iex": {"trades": ["*"], "bars": ["*"], "updatedBars": ["*"], "lulds": ["*"]},
    "/v1beta3/crypto/us": {"orderbooks": ["*"], "dailyBars": ["*"]},
    "/v1beta1/news": {"news": ["*"]},
}


async def told(
    simulator: Simulator, path: str, until_told: asyncio.Event
) -> tuple[bytes, list[dict[str, Any]]]:
    """Everything that a feed says while virtual time passes, as bytes and as messages."""
    heard = b""
    messages: list[dict[str, Any]] = []
    headers = {"APCA-API-KEY-ID": simulator.key, "APCA-API-SECRET-KEY": simulator.secret}
    url = simulator.stocks_stream_url.replace("/v2/iex", path)
    async with connect(url, additional_headers=headers) as socket:
        await socket.send(json.dumps({"action": "subscribe", **WANTED[path]}))
        while messages[-1:] == [] or messages[-1]["T"] != "subscription":
            messages += json.loads(await socket.recv())
        until_told.set()
        async for frame in socket:
            assert isinstance(frame, str)
            heard += frame.encode()
            messages += json.loads(frame)
    return heard, messages


async def run(seed: str) -> tuple[str, list[dict[str, Any]]]:
    """One run: the digest of what every feed said, and the messages."""
    arguments = ("--virtual-time", "--seed", seed, "--rate", "40", "--symbols", "AAPL,KO,BTC/USD")
    rare = ("--mistakes-per-minute", "6", "--news-per-minute", "2")
    with Simulator.start(*arguments, *rare) as simulator:
        subscribed = [asyncio.Event() for _ in WANTED]
        feeds = [
            asyncio.create_task(told(simulator, path, event))
            for path, event in zip(WANTED, subscribed, strict=True)
        ]
        for event in subscribed:
            await asyncio.wait_for(event.wait(), 10)
        body = {"seconds": 60 * MINUTES}
        answer = await asyncio.to_thread(
            requests.post, simulator.control_url + "/clock", json=body, timeout=30
        )
        assert answer.status_code == 200
        simulator.process.terminate()
        found = await asyncio.wait_for(asyncio.gather(*feeds), 10)
    digest = hashlib.sha256(b"".join(heard for heard, _ in found)).hexdigest()
    return digest, [message for _, messages in found for message in messages]


async def test_mistakes_and_news_come_by_themselves_and_again_in_another_run_of_the_seed() -> None:
    first, messages = await run("5")
    kinds = [message["T"] for message in messages]
    assert {*MISTAKES, "n", "o", "l", "d", "b", "t"} <= set(kinds)
    assert 2 <= kinds.count("n") <= 15
    assert first == (await run("5"))[0]
    assert first != (await run("6"))[0]


def test_nobody_makes_mistakes_at_night() -> None:
    arguments = ("--virtual-time", "--hours", "exchange", "--start", "2026-01-05T19:59:00-05:00")
    with Simulator.start(
        *arguments, "--symbols", "AAPL", "--rate", "2", "--mistakes-per-minute", "20"
    ) as night:
        night.advance(6 * 3600)
        headers = {"APCA-API-KEY-ID": night.key, "APCA-API-SECRET-KEY": night.secret}
        url = f"{night.data_url}/v2/stocks/AAPL/trades?start=2026-01-05"
        trades = requests.get(url, headers=headers, timeout=10).json()["trades"]
    assert {trade["t"][:10] for trade in trades} == {"2026-01-06"}
    assert max(trade["t"] for trade in trades) <= "2026-01-06T01:00:00Z"
