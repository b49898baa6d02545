"""The story of an order, wherever its entries are: in the stream, in the archive, or in a snapshot alone."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from archived_journal import ACCOUNT, ArchivedJournal
from backbone import backbone, environment
from fake_broker import FakeBroker
from oms_run import limit_order, limits_text, market_order, running, trading

from bus.errors import InvalidInput
from oms.limits.limits import parse
from ops.order.finding import found_story

pytestmark = pytest.mark.integration


@pytest.fixture
async def journal(
    monkeypatch: pytest.MonkeyPatch, orders_url: str, orders_client: Any, tmp_path: Path
) -> ArchivedJournal:
    """A journal of 75 orders, the first sixty of which are in the archive alone, in four files."""
    monkeypatch.setenv("ORDERS_REDIS_URL", orders_url)
    monkeypatch.setenv("BACKBONE_ACCOUNT", ACCOUNT)
    made = ArchivedJournal(orders_client, orders_url, tmp_path / "archive", 302)
    await made.write(snapshot_at=260)
    await made.archived(70)
    await made.trim(241)
    return made


def about(journal: ArchivedJournal, order: int) -> dict[str, Any]:
    """What the broker said of the order of this number."""
    return json.loads(journal.entries[2 + 4 * order + 1][1][5])  # type: ignore[no-any-return]


async def test_an_order_is_found_whole_by_any_of_its_ids(journal: ArchivedJournal) -> None:
    for order in (0, 16, 17, 58, 59, 60, 74):
        ids = about(journal, order)
        for text in (ids["client_order_id"], ids["broker_order_id"], f"…{ids['client_order_id'][-8:]}"):
            found = await found_story(text, journal.root, None)
            assert found.client_order_id == ids["client_order_id"]
            assert found.broker_order_ids == (ids["broker_order_id"],)
            assert (found.is_whole, found.status) == (True, "filled")
            assert (found.filled, found.average_price) == ("10", "187.5")
            expected = journal.entries[2 + 4 * order : 6 + 4 * order]
            assert [one.id.encode() for one in found.entries] == [id_ for id_, _ in expected]
            assert [one.type.encode() for one in found.entries] == [fields[1] for _, fields in expected]
            assert {one.where == "journal" for one in found.entries} == {order >= 60}


async def test_what_is_in_the_archive_alone_is_missed_with_a_word_where_none_is_named(
    journal: ArchivedJournal,
) -> None:
    ids = about(journal, 3)
    with pytest.raises(InvalidInput, match=r"242 entries up to .* in the archive alone, .* --archive DIR"):
        await found_story(ids["client_order_id"], None, None)
    # The newest that is looked at is of this day, and none of its orders is older.
    with pytest.raises(InvalidInput, match="looked through 0 entries of the journal and 0 files"):
        await found_story(ids["client_order_id"], journal.root, date(2023, 12, 31))
    assert (await found_story(ids["client_order_id"], journal.root, date(2024, 1, 1))).is_whole
    for none in ("bb-ma-cross-" + "0" * 32, "1234567"):
        with pytest.raises(InvalidInput):
            await found_story(none, journal.root, None)


async def test_a_file_that_cannot_be_read_is_named_and_the_others_are_looked_through(
    journal: ArchivedJournal,
) -> None:
    path = journal.archive.directory / journal.archive.segments()[1].name
    path.write_bytes(path.read_bytes()[:-40])
    found = await found_story(about(journal, 3)["client_order_id"], journal.root, None)
    assert found.is_whole
    assert [str(path) in note for note in found.notes] == [True]


async def test_what_was_asked_decided_and_canceled_is_one_story_with_who_answers_for_it(
    monkeypatch: pytest.MonkeyPatch, md_url: str, orders_url: str, orders_client: Any
) -> None:
    monkeypatch.setenv("ORDERS_REDIS_URL", orders_url)
    monkeypatch.setenv("BACKBONE_ACCOUNT", ACCOUNT)
    limits = parse(
        limits_text().replace('# responsible_person = "Ann Lee"', 'responsible_person = "Ann Lee"'), "l"
    )
    async with running(md_url, orders_url, FakeBroker(), limits=limits) as oms, trading(orders_url) as algo:
        first = await algo.order(1, limit_order("99", "10"))
        await algo.told(first, "OrderSent")
        second = await algo.replace(first, 2, limit_order("98", "10"))
        await algo.told(second, "OrderSent")
        await oms.fill(second, "4", "97.5", "e1")
        await algo.told(second, "OrderFilled")
        refused = await algo.order(3, market_order("1000000"))
        await algo.told(refused, "OrderRefused")
    of_first, of_second = await found_story(first, None, None), await found_story(second, None, None)
    assert [one.type for one in of_first.entries][:3] == ["OrderRequest", "OrderApproved", "OrderSent"]
    assert "ReplaceRequest" in [one.type for one in of_first.entries]
    assert [one.type for one in of_second.entries][:2] == ["ReplaceRequest", "OrderApproved"]
    assert (of_second.what, of_second.filled) == ("buy 10 AAPL limit 98", "4")
    assert (of_second.algorithm, of_second.responsible_person) == ("alpha", "Ann Lee")
    of_refused = await found_story(refused[-8:], None, None)
    assert (of_refused.is_whole, of_refused.status) == (True, "refused by risk")
    assert [one.type for one in of_refused.entries] == ["OrderRequest", "OrderRefused"]


async def test_the_command_as_it_is_typed(journal: ArchivedJournal, home: Path) -> None:
    within = environment(home, ORDERS_REDIS_URL=journal.url, BACKBONE_ACCOUNT=ACCOUNT)
    ids = about(journal, 17)
    told = backbone("order", ids["broker_order_id"], "--archive", str(journal.root), within=within)
    assert told.returncode == 0, told
    assert "sell 10 NVDA limit 187.55: filled, 10 filled at 187.5 on average" in told.stdout
    assert "2024-01-01 14:05:40.000Z" in told.stdout
    told = backbone("order", "nobody-knows-me", "--json", within=within)
    assert (told.returncode, told.stdout) == (2, "")
