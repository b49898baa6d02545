"""Counts that go on, whoever serves a feed."""

from typing import Any

from ingest.kept_counts import KeptCounts


async def test_counts_go_on_over_others_turns_and_are_written_where_they_changed(market_client: Any) -> None:
    ours, theirs = KeptCounts(market_client, "iex"), KeptCounts(market_client, "iex")
    nothing = {"gaps": 0, "messages_in": 0}
    ours.begin(nothing)
    await ours.keep({"gaps": 0, "messages_in": 5})
    assert await market_client.hgetall("counts:iex") == {b"gaps": b"0", b"messages_in": b"5"}
    await market_client.hset("counts:iex", "gaps", 40)
    await ours.keep({"gaps": 0, "messages_in": 7})
    # Not written, for it had not changed.
    assert await market_client.hget("counts:iex", "gaps") == b"40"
    theirs.begin(nothing)
    await theirs.keep({"gaps": 1, "messages_in": 0})
    assert theirs.totals({"gaps": 3, "messages_in": 1}) == {"gaps": 43, "messages_in": 8}
    await theirs.keep({"gaps": 3, "messages_in": 1})
    ours.begin({"gaps": 0, "messages_in": 7})
    await ours.keep({"gaps": 0, "messages_in": 7})
    assert ours.totals({"gaps": 0, "messages_in": 9}) == {"gaps": 43, "messages_in": 10}
