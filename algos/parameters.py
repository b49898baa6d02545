"""An algorithm's typed parameters: declared in its class, given as text, checked before anything starts."""

import inspect
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast, get_type_hints

import msgspec

from bus.errors import InvalidInput

T = TypeVar("T")

ENVIRONMENT_PREFIX = "BACKBONE_PARAM_"


class Parameter(Generic[T]):
    """A declared parameter: reads as its default until the algorithm is given a value."""

    def __init__(self, default: T, about: str) -> None:
        self.default = default
        self.about = about

    def __get__(self, instance: object | None, owner: type) -> T:
        return self.default


def parameter(default: T, about: str = "") -> T:
    """Declare a parameter in a class body: `fast: int = parameter(5, "bars of the fast average")`.

    The annotation is its type: int, Decimal, str, bool, a Literal, or one of these or None.
    """
    # A type checker sees the plain value, which is what an instance reads.
    return cast(T, Parameter(default, about))


def declared(algorithm: type) -> dict[str, tuple[Any, Parameter[Any]]]:
    """Every parameter of a class, inherited ones included: its type and its declaration.

    Raises InvalidInput for one without an annotation, or whose default is of another type.
    """
    hints = get_type_hints(algorithm)
    found: dict[str, tuple[Any, Parameter[Any]]] = {}
    for name in dir(algorithm):
        declaration = inspect.getattr_static(algorithm, name)
        if not isinstance(declaration, Parameter):
            continue
        if name not in hints:
            raise InvalidInput(
                f"parameter {name} of {algorithm.__name__} has no type: write `{name}: int = parameter(...)`"
            )
        try:
            msgspec.convert(declaration.default, hints[name])
        except (msgspec.ValidationError, TypeError) as error:
            raise InvalidInput(
                f"parameter {name} of {algorithm.__name__}: its default {declaration.default!r} "
                f"is not of its type {_shown(hints[name])}: {error}"
            ) from error
        found[name] = (hints[name], declaration)
    return found


def read_parameters(
    algorithm: type, given: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The values of parameters from `--param` (which wins) and from BACKBONE_PARAM_<NAME>.

    Raises InvalidInput, naming the parameter, the value, the type and the known names.
    """
    known = declared(algorithm)
    values: dict[str, Any] = {}
    from_environment = {
        variable[len(ENVIRONMENT_PREFIX) :].lower(): (variable, value)
        for variable, value in environment.items()
        if variable.startswith(ENVIRONMENT_PREFIX)
    }
    from_command = {name: (f"--param {name}", value) for name, value in given.items()}
    for name, (where, text) in {**from_environment, **from_command}.items():
        if name not in known:
            raise InvalidInput(f"{where}: {algorithm.__name__} has no such parameter; {_list(known)}")
        kind = known[name][0]
        try:
            values[name] = msgspec.convert(text, kind, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            raise InvalidInput(f"{where}={text!r} is not of type {_shown(kind)}; {_list(known)}") from error
    return values


def _list(known: Mapping[str, tuple[Any, Parameter[Any]]]) -> str:
    if not known:
        return "it takes no parameters"
    shown = (f"{name}: {_shown(kind)} = {entry.default}" for name, (kind, entry) in known.items())
    return f"its parameters are {', '.join(shown)}"


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
