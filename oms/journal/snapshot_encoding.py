"""The whole state as bytes, and back: whatever can be reached from it, named nowhere. Pure.

A field that is added to the state, to the book or to an order is in the next snapshot without a word here. In
return a snapshot can be read by the very code that wrote it alone: any other may fold otherwise.

Written are objects, each with a number; the state is number 0. A value in one is plain (None, a number, text,
bytes), `[number]` for the object with that number, `[text]` for a decimal, or `["int", text]`; so what two
places share stays shared. They come in pieces, so that nobody needs memory for all that is written at once.
"""

import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from types import MappingProxyType
from typing import Any, cast

import msgspec

from bus.errors import BackboneError
from oms.state.state import State

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_TEXTS = frozenset({str, bytes})
# About a megabyte.
_VALUES_OF_A_PIECE = 10_000
_SMALLEST, _GREATEST = -(1 << 63), (1 << 64) - 1

_MAPPINGS: dict[type, str] = {
    dict: "dict",
    defaultdict: "defaultdict",
    Counter: "counter",
    MappingProxyType: "mappingproxy",
}
_SEQUENCES: dict[type, str] = {
    list: "list",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    deque: "deque",
}
_MADE_OF: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "defaultdict": dict,
    "counter": Counter,
    "mappingproxy": lambda items: MappingProxyType(dict(items)),
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
    "date": lambda values: date.fromisoformat(values[0]),
}
_FACTORIES: dict[str, Callable[[], Any]] = {
    kind.__name__: kind for kind in (int, str, list, dict, set, deque, Decimal)
}

# Only classes of ours are written, and only such are looked for.
_OURS = ("oms.", "bus.")


class NotWritten(BackboneError):
    """A value is of a kind that no snapshot has held before."""


def encode(state: State) -> Iterator[bytes]:
    """The state as pieces of bytes. Raises NotWritten for a value of which nobody said how it is written."""
    writer = _Writer()
    writer.reference(state)
    return _pieces(writer.objects)


def decode(pieces: Iterable[bytes]) -> State:
    """The state that was written. Raises ValueError for what is none."""
    reading = Reading()
    for piece in pieces:
        reading.take(piece)
    return reading.state()


class Reading:
    """Makes a state of its pieces. Mutable: what was taken of them."""

    def __init__(self) -> None:
        self._objects: dict[int, list[Any]] = {}

    def __repr__(self) -> str:
        return f"<{len(self._objects)} objects read>"

    def take(self, piece: bytes) -> None:
        """Take the next piece. Raises ValueError for what is none."""
        try:
            for number, body in msgspec.msgpack.decode(piece):
                known = self._objects.setdefault(number, body)
                if known is not body:
                    known[1].update(body[1])
        except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"no state: {error!r}") from error

    def state(self) -> State:
        """The state, once all pieces were taken. Raises ValueError where they make none."""
        try:
            state = _Reader(self._objects).made(0, State())
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"no state: {error!r}") from error
        if not isinstance(state, State):
            raise ValueError(f"no state, but {type(state).__name__}")
        # Whoever keeps hashes of orders has those of another state.
        state.book.changed = set(state.book.orders)
        return state


def _pieces(objects: list[Any]) -> Iterator[bytes]:
    piece: list[tuple[int, list[Any]]] = []
    values = 0
    for number, body in enumerate(objects):
        for part in _parts(body):
            piece.append((number, part))
            values += len(part[1])
            if values >= _VALUES_OF_A_PIECE:
                yield msgspec.msgpack.encode(piece)
                piece, values = [], 0
    yield msgspec.msgpack.encode(piece)


def _parts(body: list[Any]) -> Iterator[list[Any]]:
    """A great plain mapping as several under one number, everything else as it is."""
    kind, values, about = body
    if kind != "plain" or len(values) <= _VALUES_OF_A_PIECE:
        yield body
        return
    items = iter(values.items())
    while part := dict(islice(items, _VALUES_OF_A_PIECE)):
        yield [kind, part, about]


class _Writer:
    """Mutable: `objects` so far, and the numbers of those that were met."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def reference(self, item: object) -> int:
        """The number of an object, which is written where it is met first."""
        number = self._numbers.get(id(item))
        if number is None:
            number = self._numbers[id(item)] = len(self.objects)
            self.objects.append(None)
            self.objects[number] = self._body(item)
        return number

    def _value(self, value: object) -> object:
        kind = type(value)
        if kind in _PLAIN:
            is_too_great = kind is int and not _SMALLEST <= cast(int, value) <= _GREATEST
            return ["int", str(value)] if is_too_great else value
        return [str(value)] if kind is Decimal else [self.reference(value)]

    def _body(self, item: Any) -> list[Any]:
        kind = type(item)
        if (
            kind is dict
            and item
            and set(map(type, item)) <= _TEXTS
            and set(map(type, item.values())) <= _TEXTS
        ):
            # Great ones, such as that of all orders there ever were, are not taken apart value by value.
            return ["plain", item, ""]
        if name := _MAPPINGS.get(kind):
            return [name, self._values(part for pair in item.items() for part in pair), _factory_of(item)]
        if name := _SEQUENCES.get(kind):
            # A set that was filled in another order may run through its members in another, too.
            members = sorted(item, key=repr) if isinstance(item, set | frozenset) else item
            return [name, self._values(members), ""]
        if kind is date:
            return ["date", [item.isoformat()], ""]
        name = f"{kind.__module__}.{kind.__qualname__}"
        if not name.startswith(_OURS) or issubclass(kind, Exception):
            raise NotWritten(f"{name} is in the state, and nobody said how it is written into a snapshot")
        values = [part for pair in _attributes(item) for part in (pair[0], self._value(pair[1]))]
        return ["object", values, name]

    def _values(self, items: Iterable[object]) -> list[object]:
        return [self._value(item) for item in items]


class _Reader:
    """Mutable: the objects that were made."""

    def __init__(self, objects: dict[int, list[Any]]) -> None:
        self._objects = objects
        self._made: dict[int, Any] = {}

    def made(self, number: int, fresh: Any = None) -> Any:
        """The object with this number; `fresh` is what a new state has in its place, and is filled."""
        if number in self._made:
            return self._made[number]
        kind, values, about = self._objects[number]
        if kind == "object":
            return self._object(number, _class(about), values, fresh)
        self._objects[number] = []
        if kind == "plain":
            self._made[number] = values
            return values
        parts = [self._value(value) for value in values]
        if kind in ("dict", "defaultdict", "counter", "mappingproxy"):
            parts = list(zip(parts[0::2], parts[1::2], strict=True))
        item = _MADE_OF[kind](parts if kind != "counter" else dict(parts))
        if kind == "defaultdict":
            factory = fresh.default_factory if isinstance(fresh, defaultdict) else _FACTORIES[about]
            item = defaultdict(factory, item)
        if isinstance(fresh, dict) and type(fresh) is type(item):
            # Whoever was given the new state's own goes on seeing it.
            fresh.clear()
            fresh.update(item)
            item = fresh
        self._made[number] = item
        return item

    def _object(self, number: int, kind: type[Any], values: list[Any], fresh: Any) -> Any:
        names = values[0::2]
        if issubclass(kind, msgspec.Struct):
            given = dict(zip(names, map(self._value, values[1::2]), strict=True))
            item = self._made[number] = kind(**given)
            return item
        item = self._made[number] = fresh if type(fresh) is kind else object.__new__(kind)
        for name, value in zip(names, values[1::2], strict=True):
            object.__setattr__(item, name, self._value(value, getattr(fresh, name, None)))
        for remade in _remade(kind):
            object.__setattr__(item, remade.name, _default(remade))
        return item

    def _value(self, value: Any, fresh: Any = None) -> Any:
        if not isinstance(value, list):
            return value
        if len(value) == 2:
            return int(value[1])
        return Decimal(value[0]) if isinstance(value[0], str) else self.made(value[0], fresh)


def _attributes(item: Any) -> Iterable[tuple[str, object]]:
    """What an object is made of, but for code, and for what it can work out again."""
    if isinstance(item, msgspec.Struct):
        return [(name, getattr(item, name)) for name in item.__struct_fields__]
    if is_dataclass(item):
        return [(one.name, getattr(item, one.name)) for one in fields(item) if one.compare]
    slots = (name for kind in type(item).__mro__ for name in getattr(kind, "__slots__", ()))
    found = {name: getattr(item, name) for name in slots if hasattr(item, name)}
    found.update(getattr(item, "__dict__", {}))
    return [(name, value) for name, value in found.items() if not _is_code(value)]


def _is_code(value: object) -> bool:
    """Whether it is a function, or a table of them: a new state has its own."""
    return callable(value) or (isinstance(value, dict) and bool(value) and all(map(callable, value.values())))


def _remade(kind: type[Any]) -> list[Field[Any]]:
    return [one for one in fields(kind) if not one.compare] if is_dataclass(kind) else []


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


def _factory_of(item: object) -> str:
    factory = item.default_factory if isinstance(item, defaultdict) else None
    return "" if factory is None else getattr(factory, "__name__", "")


def _class(name: str) -> type[Any]:
    module, _, attribute = name.rpartition(".")
    found = getattr(sys.modules.get(module), attribute, None) if name.startswith(_OURS) else None
    if not isinstance(found, type):
        raise LookupError(f"no class {name}")
    return found
