"""Finds an order in a journal, its archive and the requests of its algorithm."""

import contextlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bus import streams
from bus.entry_position import entry_position
from bus.errors import InvalidInput
from bus.replay import read as read_streams
from oms.journal import snapshot_store
from ops.account_server import AccountServer, server_of_account
from ops.journal.whole import WholeJournal, whole_journal
from ops.message_lines import number
from ops.order.backwards import Backwards
from ops.order.story import LEAST_CHARACTERS, Story, is_beginning, named_by, names, story

# An algorithm's request is in its stream so long before it is decided on at the most, if it waits its turn.
_BEFORE_MS = 60_000
_AFTER_MS = 5_000

_PUT_AWAY = b"OrdersPutAway"
_Found = list[tuple[str, str, dict[bytes, bytes]]]


async def found_story(text: str, archive: Path | None, until: date | None) -> Story:
    """The story of the order that `text` names: its client id, the broker's id, or the end of one of them.

    Looked for from the end of the day `until` (UTC) back. Raises InvalidInput where nobody knows of it.
    """
    text = text.strip().lstrip("…")
    if len(text) < LEAST_CHARACTERS:
        raise InvalidInput(
            f"{text!r}: an order's id, or at least the last {LEAST_CHARACTERS} characters of it"
        )
    async with server_of_account("ops-order") as server:
        whole = await whole_journal(server, archive)
        client_order_id, back, found, is_whole = await _looked_for(server, whole, text, _end(until))
        if client_order_id not in ("", text):
            # What is newer than the entry that told what the order is called names it otherwise.
            _, back, found, is_whole = await _looked_for(server, whole, client_order_id, _end(until))
        if not found:
            return await _put_away(server, text, back)
        found.sort(key=lambda one: entry_position(one[0]))
        # Ids of two streams tell no order within a millisecond: a request comes before what came of it.
        found = [*await _requests(server, client_order_id, found), *found]
        found.sort(key=lambda one: entry_position(one[0])[0])
        return story(client_order_id, found, is_whole=is_whole, notes=back.notes)


def _end(until: date | None) -> str:
    if until is None:
        return "+"
    after = datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(1)
    return f"{int(after.timestamp()) * 1000 - 1}-{(1 << 64) - 1}"


async def _looked_for(
    server: AccountServer, whole: WholeJournal, text: str, end: str
) -> tuple[str, Backwards, _Found, bool]:
    """The client id of the newest order that `text` names, "" for none.

    Where that is `text` itself, also the entries that name it, and whether the first of all is among them.
    """
    back, client_order_id = Backwards(server, whole, end), ""
    found: _Found = []
    async with contextlib.aclosing(back.with_text(text)) as candidates:
        async for where, (id_, parts) in candidates:
            fields = dict(zip(parts[0::2], parts[1::2], strict=True))
            data = fields.get(b"data", b"")
            client_order_id = client_order_id or named_by(data, text)
            if client_order_id not in ("", text):
                return client_order_id, back, found, False
            # What a day's begin lets stay in memory says nothing of an order.
            if fields.get(b"type") == _PUT_AWAY or not names(data, text):
                continue
            found.append((id_.decode(), where, fields))
            if is_beginning(fields, text):
                return text, back, found, True
    return client_order_id, back, found, False


async def _requests(server: AccountServer, client_order_id: str, found: _Found) -> _Found:
    """What its algorithm asked of it, from shortly before the first entry to the last."""
    told = story(client_order_id, found, is_whole=True)
    if told.algorithm in ("", streams.EXTERNAL):
        return []
    times = [entry_position(id_)[0] for id_, _, _ in found]
    stream = streams.requests(server.account, told.algorithm)
    start, end = f"{max(0, min(times) - _BEFORE_MS)}", f"{max(times) + _AFTER_MS}"
    return [
        (one.id, "requests", one.fields)
        async for one in read_streams(server.client, [stream], start=start, end=end)
        if names(one.fields.get(b"data", b""), client_order_id)
    ]


async def _put_away(server: AccountServer, text: str, looked: Backwards) -> Story:
    """What the last snapshot still knows of it. Raises InvalidInput where that is nothing."""
    found = await snapshot_store.examined(server.client, server.account)
    order = None if isinstance(found, str) else found[1].book.put_away.order(text)
    if order is None:
        raise InvalidInput(
            f"no order is known by {text}: looked through {looked.entries:,} entries of the journal and "
            f"{looked.files:,} files of its archive{''.join(f'; {note}' for note in looked.notes)}"
        )
    return Story(
        client_order_id=order.client_order_id,
        broker_order_ids=(order.broker_order_id,) if order.broker_order_id else (),
        algorithm=order.algorithm,
        symbol=order.symbol,
        what=f"{order.side} {order.symbol}",
        status=order.status,
        filled=number(order.filled),
        average_price=None,
        responsible_person="",
        is_whole=False,
        entries=(),
        notes=tuple(looked.notes),
    )
