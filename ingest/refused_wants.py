"""Tells readers, under keys of theirs, what of their wants is not carried; and the log, and people."""

from collections.abc import Iterable, Mapping, Sequence

import orjson
import structlog

from bus.connection import Client
from bus.outage import Outage
from bus.streams import refused_wants
from ingest.streams.stream_reasons import MOST_NAMED, named
from ingest.wants import RefusedWant

# What is refused is told again with every look at the wants; what is not any more is gone after so long.
TTL_MS = 2000

log = structlog.get_logger()


class RefusedWants:
    """What was told to readers. Mutable: the sentences under each key, and which of them the log has."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: dict[str, bytes] = {}
        self._logged: frozenset[tuple[str, str]] = frozenset()
        self._not_told = Outage("refused wants not told to readers")

    async def tell(self, refused: Mapping[str, Sequence[RefusedWant]]) -> None:
        """Say what the feeds refuse, by kind of feed, for as long as this is called again within TTL_MS.

        What has changed is written, what has not is kept from running out. A server that is away or refuses
        is asked again at the next call.
        """
        told = {
            refused_wants(account_name, name, kind): sentences
            for kind, some in refused.items()
            for reader, sentences in by_reader(some).items()
            for account_name, _, name in [reader.partition(":")]
        }
        self._log({(reader, one) for some in refused.values() for reader, one in _pairs(some)})
        texts = {key: orjson.dumps(sentences) for key, sentences in told.items()}
        kept = [key for key, text in texts.items() if self._told.get(key) == text]
        before, self._told = self._told, {}
        if not texts:
            return
        pipeline = self._client.pipeline(transaction=False)
        for key in kept:
            pipeline.pexpire(key, TTL_MS)
        for key, text in texts.items():
            if before.get(key) != text:
                pipeline.set(key, text, px=TTL_MS)
        with self._not_told:
            replies = await pipeline.execute()
            # One that ran out all the same, or that a server lost, is written again next time.
            lost = {key for key, is_there in zip(kept, replies, strict=False) if not is_there}
            self._told = {key: text for key, text in texts.items() if key not in lost}

    def _log(self, now: set[tuple[str, str]]) -> None:
        for reader, sentence in sorted(now - self._logged):
            log.error("want refused", reader=reader, what=sentence)
        self._logged = frozenset(now)


def by_reader(refused: Iterable[RefusedWant]) -> dict[str, tuple[str, ...]]:
    """For each reader a sentence for each reason, each with the first few wants that it is the reason for.

    A plan's limit of 30 symbols refuses thousands of wants at once: all of them named would be half a
    megabyte, written and read again every second.
    """
    wants: dict[str, dict[str, dict[str, None]]] = {}
    for one in refused:
        wants.setdefault(one.reader, {}).setdefault(one.why, {})[one.what] = None
    return {
        reader: tuple(bounded([f"{named(sorted(some))}: {why}" for why, some in sorted(reasons.items())]))
        for reader, reasons in sorted(wants.items())
    }


def for_people(refused: Iterable[RefusedWant]) -> tuple[str, ...]:
    """The same as one list of sentences, as long as a heartbeat may carry."""
    return tuple(bounded([f"{reader} does not get {sentence}" for reader, sentence in _pairs(refused)]))


def bounded(sentences: Sequence[str]) -> Sequence[str]:
    """These sentences, or the first of them and how many more there are."""
    more = len(sentences) - MOST_NAMED
    return [*sentences[:MOST_NAMED], f"and {more:,} more"] if more > 0 else sentences


def _pairs(refused: Iterable[RefusedWant]) -> list[tuple[str, str]]:
    return [(reader, sentence) for reader, some in by_reader(refused).items() for sentence in some]
