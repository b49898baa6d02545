"""Sequences of breaks, kills and refusals after which a fill told messages twice."""

import asyncio
from typing import Any, ClassVar

import msgspec
import orjson
import pytest
from gap_scene import BAR, FEEDS, START, STREAM, Past, S, Scene, bar, gone, hole, keep, put, trade
from waiting import until

from ingest.buffered_item import Resumed
from ingest.data_api.alpaca_data import DataUnreachable, NotGiven
from ingest.gaps.open_gaps import OpenGaps


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.gaps.gap_filler.LEFT_OPEN_AFTER_S", 0.0)
    monkeypatch.setattr("ingest.gaps.gap_filler.FIRST_AGAIN_S", 0.05)


async def test_a_fill_beside_that_a_restart_cuts_is_not_told_twice(market_client: Any) -> None:
    await put(market_client, trade(1))
    await keep(market_client, hole(1, 6))

    class Cut:
        async def pages(self, *_: Any) -> Any:
            yield [trade(2), trade(3)]
            await asyncio.Event().wait()

    scene = Scene(market_client, Cut(), hold_s=0)
    scene.start()
    await until(lambda: len(scene.written) == 1, "a page")
    await scene.stop()
    scene = Scene(market_client, Past([trade(n) for n in range(1, 7)]), hold_s=0)
    scene.start()
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    assert sorted(await scene.all()) == [1, 2, 3, 4, 5, 6]


async def test_a_busy_symbol_is_not_told_twice_when_another_of_its_group_fails(
    market_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.gaps.gap_fill.MOST_REMEMBERED", 500)
    await put(market_client, trade(1))
    await put(market_client, trade(1, "MSFT"), stream="md:MSFT:trades")
    tries = 0

    class Failing:
        async def pages(self, channel: str, symbols: Any, since_ns: int, until_ns: int) -> Any:
            nonlocal tries
            tries += 1
            tape = (trade(1 + n / 10) for n in range(1000))
            yield [one for one in tape if since_ns <= one["t"] <= until_ns]
            if tries < 3:
                raise DataUnreachable("reset by peer")
            yield [one for one in (trade(1, "MSFT"), trade(2, "MSFT")) if since_ns <= one["t"] <= until_ns]

    scene = Scene(market_client, Failing(), hold_s=0, now_s=200)
    scene.start()
    scene.buffer.add(Resumed({STREAM: START + S, "md:MSFT:trades": START + S}, START + 110 * S), 0)
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    found = await scene.all()
    assert len(found) == len(set(found)) == 1000


async def test_a_busy_stream_is_not_told_twice_beside(market_client: Any) -> None:
    before = 25_000
    tape = [trade(n / 1000) for n in range(before + 3000)]
    missed = slice(before, before + 1000)
    await put(market_client, *tape[:before], *tape[before + 1000 :])
    since, to = before / 1000 - 0.001, before / 1000 + 1.0
    await keep(market_client, hole(since, to))
    scene = Scene(market_client, Past(tape), hold_s=2)
    scene.start()
    await until(lambda: scene.closed() == 1, "closed", timeout_s=30)
    await scene.stop()
    told = sum(len(one.streams) for one in scene.written if one.marker == "b")
    assert told == len(tape[missed])


async def test_a_bar_that_came_live_while_history_was_refused_is_not_told_beside_too(
    market_client: Any,
) -> None:
    stream = "md:AAPL:bars"
    await put(market_client, bar(0), stream=stream)
    past = Past([bar(n * 60) for n in range(4)])
    scene = Scene(market_client, past, hold_s=0, now_s=130 + 3)

    async def refused_at_first() -> None:
        if past.asked == 1:
            raise NotGiven("not in this plan", 403, "")
        if past.asked == 2:
            # The minute in which the feed was carried again ends, and its bar comes live.
            scene.clock.advance(60 * S)
            await put(market_client, bar(120), stream=stream, now=True)
            raise NotGiven("not in this plan", 403, "")

    past.before = refused_at_first
    scene.start()
    # Broke at 0:50, carried again at 2:10; bars of 0 (live), 60 missed, 120 comes live at 3:00.
    scene.buffer.add(Resumed({stream: START + 65 * S}, START + 130 * S), 0)
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    assert sorted(await scene.all("bars")) == [0, 60, 120]


async def test_a_trade_told_late_while_history_was_refused_is_not_told_beside_too(market_client: Any) -> None:
    await put(market_client, trade(1))
    past = Past([trade(n) for n in range(1, 8)])
    scene = Scene(market_client, past, hold_s=0, now_s=30)

    async def refused_at_first() -> None:
        if past.asked == 1:
            raise NotGiven("not in this plan", 403, "")
        if past.asked == 2:
            await market_client.xadd(
                STREAM, {"d": orjson.dumps(trade(4)), "r": START + 31 * S, "feed": "iex"}
            )
            raise NotGiven("not in this plan", 403, "")

    past.before = refused_at_first
    scene.start()
    scene.buffer.add(Resumed({STREAM: START + S}, START + 5 * S), 0)
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    assert sorted(await scene.all()) == [1, 2, 3, 4, 5]


async def test_the_same_gap_that_goes_on_after_its_earlier_part_was_filled_is_not_told_twice(
    market_client: Any,
) -> None:
    """Killed while held back; the next run cannot connect within LEFT_OPEN_AFTER_S."""
    await put(market_client, trade(1))
    await keep(market_client, hole(1, 5))
    scene = Scene(market_client, Past([trade(n) for n in range(1, 21)]), hold_s=2)
    scene.start()
    await until(lambda: scene.closed() == 1, "the earlier part closed")
    await until(lambda: gone(market_client), "and forgotten")
    scene.buffer.add(Resumed({STREAM: START + S}, START + 20 * S), 0)
    await until(lambda: scene.closed() == 2, "the gap closed")
    await scene.stop()
    assert sorted(await scene.all()) == [float(n) for n in range(1, 21)]


async def test_an_earlier_gap_that_is_closed_does_not_forget_a_later_one(market_client: Any) -> None:
    await put(market_client, trade(1))

    class Three:
        """The first gap's is refused at first, the second's for longer."""

        is_first_had, is_second_had = False, False
        refused: ClassVar[set[int]] = set()

        async def pages(self, channel: str, symbols: Any, since_ns: int, until_ns: int) -> Any:
            until_s = (until_ns - START) // S
            if (until_s == 5 and not self.is_first_had) or (until_s == 10 and not self.is_second_had):
                self.refused.add(until_s)
                raise NotGiven("not in this plan", 403, "")
            yield [one for one in (trade(n) for n in range(1, 20)) if since_ns <= one["t"] <= until_ns]

    past = Three()
    scene = Scene(market_client, past, hold_s=0)
    scene.start()
    scene.buffer.add(Resumed({STREAM: START + S}, START + 5 * S), 0)
    scene.buffer.add(Resumed({STREAM: START + 6 * S}, START + 10 * S), 0)
    await until(lambda: len(scene.filler.reasons) == 1 and past.refused == {5, 10}, "both refused")
    past.is_first_had = True
    await until(lambda: scene.closed() == 1, "the first is closed")
    kept = OpenGaps(market_client, FEEDS, BAR)

    async def forgotten() -> bool:
        return len(await kept.read()) == 1

    await until(forgotten, "it is forgotten")
    scene.buffer.add(Resumed({STREAM: START + 11 * S}, START + 15 * S), 0)
    await until(lambda: scene.closed() == 2, "the third is closed")
    past.is_second_had = True
    await until(lambda: scene.closed() == 3, "all closed")
    await scene.stop()
    found = await scene.all()
    assert len(found) == len(set(found))


async def test_a_bar_of_the_minute_in_which_it_was_carried_again_is_not_told_before_it_comes_live(
    market_client: Any,
) -> None:
    stream = "md:AAPL:bars"
    await put(market_client, bar(0), stream=stream)
    scene = Scene(market_client, Past([bar(n * 60) for n in range(4)]), hold_s=2, now_s=181)
    scene.start()
    # Carried again at 2:59.5, asked at 3:01; the bar of 2:00 comes live at 3:01.5.
    scene.buffer.add(Resumed({stream: START + 65 * S}, START + round(179.5 * S)), 0)
    await until(lambda: scene.closed() == 1, "closed")
    await put(market_client, bar(120), stream=stream, now=True)
    await scene.stop()
    assert sorted(await scene.all("bars")) == [0, 60, 120]


async def test_a_delayed_feed_is_not_told_beside_what_came_live_while_history_was_away(
    market_client: Any,
) -> None:
    late = 900
    await put(market_client, trade(1 - late))
    past = Past([])
    scene = Scene(market_client, past, hold_s=0, feed="delayed_sip", now_s=20)
    scene.filler._kept = OpenGaps(market_client, ("delayed_sip", "iex"), BAR)

    async def told(n: int) -> None:
        fields = {"d": orjson.dumps(trade(n - late)), "r": START + n * S, "feed": "delayed_sip"}
        await market_client.xadd(STREAM, fields)

    class Delayed:
        asked = 0

        async def pages(self, channel: str, symbols: Any, since_ns: int, until_ns: int) -> Any:
            Delayed.asked += 1
            until_ns = min(until_ns, scene.clock.now_ns() - late * S)
            if Delayed.asked == 1:
                scene.clock.advance(10 * S)
                for n in range(21, 31):
                    await told(n)
                raise DataUnreachable("503")
            yield [one for one in (trade(n - late) for n in range(1, 60)) if since_ns <= one["t"] <= until_ns]

    scene.filler._source = Delayed()
    # Broke at 1 s, carried again at 5 s; 5..20 came live.
    for n in range(6, 21):
        await told(n)
    delayed = msgspec.structs.replace(hole(1, 5), after_ns=START + (1 - late) * S)
    await OpenGaps(market_client, ("delayed_sip", "iex"), BAR).add([delayed])
    scene.start()
    await until(lambda: scene.closed() == 1, "closed")
    await scene.stop()
    found = await scene.all()
    assert len(found) == len(set(found))


async def test_killed_before_it_forgets_a_closed_gap_it_is_not_filled_again(market_client: Any) -> None:
    await put(market_client, trade(1))
    past = Past([trade(n) for n in range(1, 7)])
    for times in (1, 0):
        await keep(market_client, hole(1, 6))
        scene = Scene(market_client, past, hold_s=0)
        scene.start()
        await until(lambda: gone(market_client), "forgotten")
        await scene.stop()
        assert scene.closed() == times
    assert sorted(await scene.all()) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_quiet_stream_that_breaks_twice_has_what_the_first_break_missed_once(
    market_client: Any, restarts: bool
) -> None:
    """It was filled beside: the stream's last message is of before the first break still."""
    await put(market_client, trade(1))
    past = Past([trade(n) for n in range(1, 10)])
    scene = Scene(market_client, past, hold_s=0)
    scene.start()
    scene.buffer.add(Resumed({STREAM: START + S}, START + 5 * S), 0)
    await until(lambda: scene.closed() == 1, "closed")
    await until(lambda: gone(market_client), "forgotten")
    if restarts:
        await scene.stop()
        scene = Scene(market_client, past, hold_s=0)
        scene.start()
    closed = scene.closed()
    scene.buffer.add(Resumed({STREAM: START + 6 * S}, START + 9 * S), 0)
    await until(lambda: scene.closed() == closed + 1, "closed")
    await scene.stop()
    assert sorted(await scene.all()) == [float(n) for n in range(1, 10)]
