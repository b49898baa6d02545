"""The whole state as bytes, and back: whatever can be reached from it, named nowhere. Pure.

A field that is added to the state, to the book or to an order is in the next snapshot without a word here. In
return a snapshot can be read by the very code that wrote it alone: any other may fold otherwise.

Written are objects, each with a number; the state is number 0. A value in one is plain (None, a number, text,
bytes), a decimal, `[number]` for the object with that number, or `["int", text]`; so what two places share
stays shared. The names of a class's attributes are an object of their own, its layout. They come in pieces,
so that none is too great for the server.
"""

import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
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

# The code of a decimal among msgpack's extension types.
_DECIMAL = 1


@lru_cache(maxsize=1024)
def _decimal(digits: bytes) -> Decimal:
    """Most of them are the same few: they share one object."""
    return Decimal(digits.decode())


def _extension(code: int, data: memoryview) -> Decimal:
    if code != _DECIMAL:
        raise ValueError(f"an extension of type {code}")
    return _decimal(bytes(data))


# What reading bytes that are no state may raise.
_WRONG = (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError)

_decode = msgspec.msgpack.Decoder(ext_hook=_extension).decode


class NotWritten(BackboneError):
    """A value is of a kind that no snapshot has held before."""


def encode(state: State) -> Iterator[bytes]:
    """The state as pieces of bytes. Raises NotWritten for a value of which nobody said how it is written."""
    writer = _Writer()
    writer.reference(state)
    return writer.pieces()


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
            for number, body in _decode(piece):
                known = self._objects.setdefault(number, body)
                if known is not body:
                    known[1].update(body[1])
        except _WRONG as error:
            raise ValueError(f"no state: {error!r}") from error

    def state(self) -> State:
        """The state, once all pieces were taken. Raises ValueError where they make none."""
        try:
            state = _Reader(self._objects).made(0, State())
        except _WRONG as error:
            raise ValueError(f"no state: {error!r}") from error
        if not isinstance(state, State):
            raise ValueError(f"no state, but {type(state).__name__}")
        # Whoever keeps hashes of orders has those of another state.
        state.book.changed = set(state.book.orders)
        return state


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
    """Mutable: the pieces so far and the one that is begun; the numbers of the objects and layouts met."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._begun: list[tuple[int, list[Any]]] = []
        self._values_begun = 0
        self._count = 0
        self._numbers: dict[int, int] = {}
        self._layouts: dict[tuple[str, ...], int] = {}

    def reference(self, item: object) -> int:
        """The number of an object, which is written where it is met first."""
        number = self._numbers.get(id(item))
        if number is None:
            number = self._numbers[id(item)] = self._next()
            self._write(number, self._body(item))
        return number

    def pieces(self) -> Iterator[bytes]:
        """What was written; each piece is given away once."""
        self._end_piece()
        while self._pieces:
            yield self._pieces.popleft()

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def _write(self, number: int, body: list[Any]) -> None:
        for part in _parts(body):
            self._begun.append((number, part))
            self._values_begun += len(part[1])
            if self._values_begun >= _VALUES_OF_A_PIECE:
                self._end_piece()

    def _end_piece(self) -> None:
        self._pieces.append(msgspec.msgpack.encode(self._begun))
        self._begun, self._values_begun = [], 0

    def _layout(self, kind: str, names: Sequence[str]) -> int:
        """The number of a class and its attributes' names, which all its objects share."""
        number = self._layouts.get((kind, *names))
        if number is None:
            number = self._layouts[(kind, *names)] = self._next()
            self._write(number, ["layout", names, kind])
        return number

    def _value(self, value: object) -> object:
        kind = type(value)
        if kind in _PLAIN:
            is_too_great = kind is int and not _SMALLEST <= cast(int, value) <= _GREATEST
            return ["int", str(value)] if is_too_great else value
        if kind is Decimal:
            return msgspec.msgpack.Ext(_DECIMAL, str(value).encode())
        return [self.reference(value)]

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
        attributes = _attributes(item)
        values = self._values(value for _, value in attributes)
        return ["object", values, self._layout(name, [one for one, _ in attributes])]

    def _values(self, items: Iterable[object]) -> list[object]:
        return [self._value(item) for item in items]


class _Reader:
    """Mutable: what is to be made yet, and the objects that were made."""

    def __init__(self, objects: dict[int, list[Any]]) -> None:
        self._objects = objects
        self._layouts: dict[int, tuple[type[Any], list[str]]] = {}
        self._made: dict[int, Any] = {}

    def made(self, number: int, fresh: Any = None) -> Any:
        """The object with this number; `fresh` is what a new state has in its place, and is filled."""
        if number in self._made:
            return self._made[number]
        kind, values, about = self._objects.pop(number)
        if kind == "object":
            return self._object(number, about, values, fresh)
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

    def _layout(self, number: int) -> tuple[type[Any], list[str]]:
        found = self._layouts.get(number)
        if found is None:
            _, names, kind = self._objects[number]
            found = self._layouts[number] = _class(kind), names
        return found

    def _object(self, number: int, layout: int, values: list[Any], fresh: Any) -> Any:
        kind, names = self._layout(layout)
        if issubclass(kind, msgspec.Struct):
            given = dict(zip(names, map(self._value, values), strict=True))
            item = self._made[number] = kind(**given)
            return item
        item = self._made[number] = fresh if type(fresh) is kind else object.__new__(kind)
        for name, value in zip(names, values, strict=True):
            object.__setattr__(item, name, self._value(value, getattr(fresh, name, None)))
        for remade in _remade(kind):
            object.__setattr__(item, remade.name, _default(remade))
        return item

    def _value(self, value: Any, fresh: Any = None) -> Any:
        if not isinstance(value, list):
            return value
        return int(value[1]) if len(value) == 2 else self.made(value[0], fresh)


def _attributes(item: Any) -> Sequence[tuple[str, object]]:
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
