"""History into one Parquet file, which is there once it is whole."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bus import whole_file
from bus.errors import InvalidInput, Unreadable
from ops.backfill.asked import Part
from ops.backfill.record import Message, Record

SUFFIX = ".parquet"

_TEXT, _NUMBER, _NAME = pa.string(), pa.float64(), pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("ns", tz="UTC")

# Columns that every message has, and those of a channel: Alpaca's name of the field, ours and its type.
_OF_ALL = (("S", "symbol", _NAME), ("t", "at", _TIME))
_OF_CHANNEL: dict[str, tuple[tuple[str, str, pa.DataType], ...]] = {
    "trades": (
        ("i", "id", pa.int64()),
        ("p", "price", _NUMBER),
        ("s", "size", _NUMBER),
        ("x", "exchange", _TEXT),
        ("c", "conditions", pa.list_(_TEXT)),
        ("z", "tape", _TEXT),
        ("tks", "taker_side", _TEXT),
        ("u", "update", _TEXT),
    ),
    "quotes": (
        ("bp", "bid_price", _NUMBER),
        ("bs", "bid_size", _NUMBER),
        ("bx", "bid_exchange", _TEXT),
        ("ap", "ask_price", _NUMBER),
        ("as", "ask_size", _NUMBER),
        ("ax", "ask_exchange", _TEXT),
        ("c", "conditions", pa.list_(_TEXT)),
        ("z", "tape", _TEXT),
    ),
    "bars": (
        ("o", "open", _NUMBER),
        ("h", "high", _NUMBER),
        ("l", "low", _NUMBER),
        ("c", "close", _NUMBER),
        ("v", "volume", _NUMBER),
        ("n", "trade_count", pa.int64()),
        ("vw", "vwap", _NUMBER),
    ),
}


class IntoFile:
    """One file with a row for each message, by part and then time; columns of other channels are empty.

    Until everything is there each piece is a file in the directory `<file>.parts`; a piece counts once the
    record beside it does. Then the file is put together, named, and the directory removed.
    """

    # Messages of one piece, which is a row group of the file.
    piece = 10_000

    def __init__(self, name: str, channels: Sequence[str]) -> None:
        self._file = Path(name)
        if self._file.suffix != SUFFIX:
            raise InvalidInput(f"--into {name!r}: a file whose name ends in {SUFFIX}")
        if not self._file.parent.is_dir():
            raise InvalidInput(f"--into {name}: there is no directory {self._file.parent}")
        self._parts = self._file.with_name(f"{self._file.name}.parts")
        if self._file.exists():
            if self._parts.exists():
                raise InvalidInput(
                    f"--into {name}: it is whole; what is left in {self._parts} can be removed"
                )
            raise InvalidInput(f"--into {name}: it is there already; give another name, or remove it")
        self.schema = _schema(channels)

    def __repr__(self) -> str:
        return f"<file {self._file}>"

    def where(self, part: Part) -> str:
        """The file."""
        return str(self._file)

    async def record(self, part: Part) -> Record | None:
        """What is there of the part. Raises InvalidInput where it cannot be read."""
        path = self._record_path(part)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise InvalidInput(
                f"{path} cannot be read: {error}; remove {self._parts} to begin again"
            ) from error

    async def add(
        self, part: Part, before: Record | None, after: Record, messages: Sequence[Message]
    ) -> None:
        """Add a piece, then the record that counts it. Raises InvalidInput where it cannot be written."""
        path = self._record_path(part)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"{path.parent} cannot be made: {error.strerror}") from error
        if messages:
            with whole_file.written(str(self._piece_path(part, after.pieces - 1))) as out:
                pq.write_table(_table(part, messages, self.schema), out)
        with whole_file.written(str(path)) as out:
            out.write(msgspec.json.encode(after))

    async def finish(self, parts: Sequence[Part]) -> None:
        """Put the file together from the pieces of these parts."""
        with (
            whole_file.written(str(self._file)) as out,
            pq.ParquetWriter(out, self.schema) as writer,
        ):
            for part in parts:
                record = await self.record(part)
                for number in range(record.pieces if record else 0):
                    writer.write_table(pq.read_table(self._piece_path(part, number), schema=self.schema))
        shutil.rmtree(self._parts, ignore_errors=True)

    def _record_path(self, part: Part) -> Path:
        return self._directory(part) / "record.json"

    def _piece_path(self, part: Part, number: int) -> Path:
        return self._directory(part) / f"{number:06}{SUFFIX}"

    def _directory(self, part: Part) -> Path:
        # No symbol has a dash.
        return self._parts / f"{part.channel}-{part.symbol.replace('/', '-')}"


def _schema(channels: Sequence[str]) -> pa.Schema:
    fields = {"channel": _NAME, "feed": _NAME} | {name: kind for _, name, kind in _OF_ALL}
    for channel in channels:
        fields |= {name: kind for _, name, kind in _OF_CHANNEL[channel]}
    return pa.schema(list(fields.items()))


def _table(part: Part, messages: Sequence[Message], schema: pa.Schema) -> pa.Table:
    """The messages as rows. Raises Unreadable for what is no value of its column."""
    columns: dict[str, Any] = {
        "channel": pa.array([part.channel] * len(messages), _NAME),
        "feed": pa.array([part.feed] * len(messages), _NAME),
    }
    try:
        for field, name, kind in _OF_ALL + _OF_CHANNEL[part.channel]:
            columns[name] = pa.array([message.get(field) for message in messages], kind)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise Unreadable(f"{part}: {error}") from error
    empty = [name for name in schema.names if name not in columns]
    columns |= {name: pa.nulls(len(messages), schema.field(name).type) for name in empty}
    return pa.table([columns[name] for name in schema.names], schema=schema)
