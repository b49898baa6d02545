"""What a client wants: changed message by message, answered with the full set, limited by the plan."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.streams.feeds import CRYPTO, FEEDS, NEWS, OPTIONS, STOCKS, Feed
from sim.streams.subscription import INVALID_FOR_FEED, INVALID_SYNTAX, SYMBOL_LIMIT, Subscription

symbols = st.lists(st.sampled_from(["A", "B", "C", "D", "*"]), max_size=4)
channels = st.sampled_from([*STOCKS.every_channel, "nonsense"])
changes = st.lists(st.tuples(st.booleans(), st.dictionaries(channels, symbols, max_size=4)), max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.just("AAPL"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


def after(feed: Feed, *messages: tuple[bool, dict[str, Any]], limit: int | None = None) -> Subscription:
    subscription = Subscription(feed)
    for adds, message in messages:
        changed = subscription.changed(message, adds, limit)
        assert isinstance(changed, Subscription)
        subscription = changed
    return subscription


@given(changes)
def test_it_is_what_was_added_and_not_taken_away_and_corrections_come_with_trades(
    asked: list[tuple[bool, dict[str, list[str]]]],
) -> None:
    expected: dict[str, set[str]] = {channel: set() for channel in STOCKS.every_channel}
    for adds, message in asked:
        for channel in expected:
            named = set(message.get(channel, []))
            expected[channel] = expected[channel] | named if adds else expected[channel] - named
    expected["corrections"] = expected["cancelErrors"] = expected["trades"]
    told = after(STOCKS, *asked).acknowledgement()
    assert list(told)[: len(STOCKS.channels) + 1] == ["T", *STOCKS.channels]
    assert {channel: set(told[channel]) for channel in STOCKS.channels} == {
        channel: expected[channel] for channel in STOCKS.channels
    }
    assert told.get("imbalances", []) == sorted(expected["imbalances"])


@given(changes, st.integers(1, 3))
def test_no_plan_is_exceeded_and_a_refusal_changes_nothing(
    asked: list[tuple[bool, dict[str, list[str]]]], limit: int
) -> None:
    subscription = Subscription(STOCKS)
    for adds, message in asked:
        before = subscription.acknowledgement()
        changed = subscription.changed(message, adds, limit)
        if isinstance(changed, int):
            assert changed == SYMBOL_LIMIT
            assert adds
            assert subscription.acknowledgement() == before
        else:
            subscription = changed
            assert len(subscription.wanted["trades"] | subscription.wanted["quotes"]) <= limit


@given(st.sampled_from(FEEDS), st.data(), st.booleans())
def test_whatever_is_asked_is_answered_or_refused(feed: Feed, data: st.DataObject, adds: bool) -> None:
    names = st.sampled_from([*feed.every_channel, "action", "?"])
    message = data.draw(st.dictionaries(names, anything, max_size=3))
    changed = Subscription(feed).changed(message, adds, 1)
    assert isinstance(changed, Subscription) or changed in (INVALID_SYNTAX, SYMBOL_LIMIT, INVALID_FOR_FEED)


def test_options_have_no_quotes_of_everything() -> None:
    assert Subscription(OPTIONS).changed({"quotes": ["*"]}, True, None) == INVALID_FOR_FEED
    assert after(OPTIONS, (True, {"trades": ["*"]})).wanted["trades"] == {"*"}


@pytest.mark.parametrize("feed", [CRYPTO, NEWS, OPTIONS])
def test_channels_of_other_feeds_are_refused_and_unknown_ones_passed_over(feed: Feed) -> None:
    assert Subscription(feed).changed({"statuses": ["A"]}, True, None) == INVALID_FOR_FEED
    nothing = Subscription(feed).acknowledgement()
    assert after(feed, (False, {"statuses": ["A"]})).acknowledgement() == nothing
    assert after(feed, (True, {"nonsense": ["A"]})).acknowledgement() == nothing


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("unused", [None, []])
def test_a_message_may_name_all_channels_of_all_feeds_where_it_uses_one(
    feed: Feed, unused: list[str] | None
) -> None:
    names = {name for other in FEEDS for name in other.every_channel}
    used = feed.channels[0]
    message = dict.fromkeys(names, unused) | {used: ["A"]}
    assert after(feed, (True, message)).wanted[used] == {"A"}
    assert not any(after(feed, (True, message), (False, message)).wanted.values())
