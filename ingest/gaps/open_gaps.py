"""What the market-data server knows of gaps: the last messages before one, and which are still open."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson
import structlog

from bus.connection import Client
from bus.market_messages import GapClosed
from bus.streams import market_channel, open_gaps
from ingest.gaps.gap_fill import LOOK_BACK_NS, Hole, look_back_ns
from ingest.gaps.gap_group import beside
from ingest.gaps.resume_point import whole_until_ns

# Entries read at once, and of one stream at most.
_PAGE, _MOST = 1000, 20_000

# Gap markers may stand behind a stream's last message, one for each restart in which nothing came.
_LAST = 20

_MS = 1_000_000

Fields = dict[bytes, bytes]
Messages = list[dict[str, Any]]

log = structlog.get_logger()

_hole = msgspec.json.Decoder(Hole).decode
_gap_closed = msgspec.json.Decoder(GapClosed).decode


class OpenGaps:
    """The gaps of one feed that are filled later than at once; they are kept through restarts.

    `feeds` are those that write into the same streams, the configured one first, and then what may stand in
    for it: whichever is served fills what another left. Raises ServerAway and ServerRefused.
    """

    def __init__(self, client: Client, feeds: Sequence[str], bar_ns: int) -> None:
        self._client = client
        self._key = open_gaps(feeds[0])
        self._feeds = frozenset(one.encode() for one in feeds)
        self._bar_ns = bar_ns

    def __repr__(self) -> str:
        return f"<open gaps in {self._key}>"

    async def read(self) -> list[Hole]:
        """The gaps that were not filled when an earlier run ended.

        One that it told as closed, and had no time to forget, is none: what is missing behind it is a gap of
        its own.
        """
        found: list[Hole] = []
        for name, text in (await self._client.hgetall(self._key)).items():
            try:
                hole = _hole(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.error("open gap not understood, dropped", gap=name.decode(), error=str(error))
                await self._client.hdel(self._key, name)
                continue
            if await self._is_told_closed(hole):
                await self._client.hdel(self._key, name)
            else:
                found.append(hole)
        return found

    async def _is_told_closed(self, hole: Hole) -> bool:
        """Whether its GapClosed is there; it stands near the stream's end where nobody lived to forget it."""
        since_ms = hole.until_ns // _MS
        page = await self._client.xrevrange(hole.stream, min=since_ms, count=_MOST)
        told = ((closed.since_ns, closed.until_ns) for closed in _told_closed(page))
        return (hole.since_ns, hole.until_ns) in told

    async def add(self, holes: Sequence[Hole]) -> None:
        """Keep these."""
        if holes:
            await self._client.hset(
                self._key, mapping={_name(one): msgspec.json.encode(one) for one in holes}
            )

    async def remove(self, holes: Sequence[Hole]) -> None:
        """These are closed."""
        if holes:
            await self._client.hdel(self._key, *map(_name, holes))

    async def left_off(self, streams: Sequence[str]) -> dict[str, int]:
        """Each stream's time until which it is whole (ns); streams without entries are left out."""
        return await whole_until_ns(self._client, streams, [one.decode() for one in self._feeds])

    async def last_messages(self, since_ns: Mapping[str, int]) -> dict[str, Messages]:
        """What streams have from shortly before the times since which they miss messages, or their last.

        With it what earlier gaps there missed and has its place beside, where their GapClosed names it.
        """
        streams = list(since_ns)
        pipeline = self._client.pipeline(transaction=False)
        for stream in streams:
            pipeline.xrevrange(stream, count=_LAST)
        begins: dict[str, int] = {}
        for stream, page in zip(streams, await pipeline.execute(), strict=True):
            last = next((id_ for id_, fields in page if self._is_message(fields)), None)
            if last is not None:
                begins[stream] = max(0, min(_ms(last), since_ns[stream] // _MS) - self._look_back_ms(stream))
        pipeline = self._client.pipeline(transaction=False)
        for stream, begin_ms in begins.items():
            pipeline.xrevrange(stream, min=begin_ms, count=_MOST)
        pages = await pipeline.execute() if begins else []
        found = {stream: self._messages(page) for stream, page in zip(begins, pages, strict=True)}
        for stream, page in zip(begins, pages, strict=True):
            if len(page) == _MOST:
                # History is asked from the first of them on, and not only from the first that was read.
                first = await self._client.xrange(stream, min=begins[stream], count=1)
                found[stream] += self._messages(first)
            for name in {closed.history for closed in _told_closed(page)} - {""}:
                found[stream] += self._messages(await self._client.xrevrange(name, count=_MOST))
        return found

    async def messages_around(self, hole: Hole, until_ns: int) -> Messages:
        """What a stream has from shortly before a gap until a time of the market (ns).

        What was held back or spooled has an entry id of when it was written: the messages' own times tell
        where to end.
        """
        since_ns = hole.after_ns - look_back_ns(hole.channel, self._bar_ns)
        position = str(max(0, since_ns // _MS))
        found: Messages = []
        while len(found) < _MOST:
            page = await self._client.xrange(hole.stream, position, count=_PAGE)
            messages = self._messages(page)
            found += [message for message in messages if since_ns <= message["t"] <= until_ns]
            is_beyond = all(message["t"] > until_ns + LOOK_BACK_NS for message in messages)
            if len(page) < _PAGE or (messages and is_beyond):
                break
            position = f"({page[-1][0].decode()}"
        return found

    async def messages_beside(self, hole: Hole) -> Messages:
        """What was found of it and is not in its stream: an earlier run may have begun, and got some."""
        return self._messages(await self._client.xrange(beside(hole)))

    def _look_back_ms(self, stream: str) -> int:
        return look_back_ns(market_channel(stream), self._bar_ns) // _MS

    def _messages(self, page: Iterable[tuple[bytes, Fields]]) -> Messages:
        found = [_read(fields.get(b"d", b"")) for _, fields in page if self._is_message(fields)]
        return [message for message in found if message is not None]

    def _is_message(self, fields: Fields) -> bool:
        return b"type" not in fields and (b"feed" not in fields or fields[b"feed"] in self._feeds)


def _told_closed(page: Iterable[tuple[bytes, Fields]]) -> Iterator[GapClosed]:
    """The gaps that entries tell as closed; what somebody else wrote into the stream is passed over."""
    for _, fields in page:
        if fields.get(b"type") == b"GapClosed":
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield _gap_closed(fields.get(b"d", b""))


def _read(text: bytes) -> dict[str, Any] | None:
    """A message that can be told from others; None for what somebody else wrote into the stream."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(message, dict) or type(message.get("t")) is not int or "T" not in message:
        return None
    return message


def _name(hole: Hole) -> str:
    return f"{hole.stream} {hole.since_ns} {hole.until_ns}"


def _ms(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])
