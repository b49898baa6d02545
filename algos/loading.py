"""`file.py:Class` to a class and an algorithm, or a sentence that says what is wrong."""

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from algos.algorithm import Algorithm
from algos.inputs import ALL_SYMBOLS
from algos.subscription import channels_of, subscriptions_of
from bus.errors import InvalidInput
from bus.streams import checked_name
from bus.symbols import checked_market_symbol


def load_class(target: str) -> type[Algorithm]:
    """The class that `path/to/file.py:Class` or `package.module:Class` names.

    Raises InvalidInput: what is missing or broken, and which classes there are.
    """
    place, separator, class_name = target.rpartition(":")
    if not separator or not place or not class_name:
        raise InvalidInput(f"algorithm {target!r}: write it as path/to/file.py:Class or package.module:Class")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_package(place)
    found = getattr(module, class_name, None)
    if found is None:
        raise InvalidInput(f"{place} has no class {class_name}; {_classes_in(module)}")
    if not (inspect.isclass(found) and issubclass(found, Algorithm)) or found is Algorithm:
        raise InvalidInput(
            f"{class_name} in {place} is not a subclass of algos.Algorithm; {_classes_in(module)}"
        )
    _check_handlers(found, place)
    return found


def make(algorithm: type[Algorithm], symbols: Sequence[str], parameters: Mapping[str, Any]) -> Algorithm:
    """An algorithm with these symbols (or its own) and parameters; InvalidInput where it cannot be made."""
    chosen = tuple(
        symbol if symbol == ALL_SYMBOLS else checked_market_symbol(symbol)
        for symbol in tuple(symbols) or algorithm.symbols
    )
    if not chosen and channels_of(algorithm):
        raise InvalidInput(
            f"{algorithm.__name__} has no symbols: give some, such as --symbols AAPL,MSFT, "
            'or set symbols = ("AAPL",) in the class'
        )
    subscriptions_of(algorithm, chosen)
    if algorithm.on_abort not in ("cancel", "keep"):
        raise InvalidInput(
            f'{algorithm.__name__}: on_abort is {algorithm.on_abort!r}; use "cancel" or "keep"'
        )
    try:
        return algorithm(symbols=chosen, **parameters)
    except InvalidInput:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidInput(
            f"{algorithm.__name__} could not be made{_where(error)}: {type(error).__name__}: {error}"
        ) from error


def default_name(algorithm: type[Algorithm]) -> str:
    """The class's name as processes are named: MovingAverageCross is moving-average-cross.

    Raises InvalidInput where that is no allowed name; then one must be given.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", algorithm.__name__)
    try:
        return checked_name(words.lower().replace("_", "-").strip("-"))
    except InvalidInput as error:
        raise InvalidInput(f"{error}; give one with --name") from error


def parameters_given(texts: Sequence[str]) -> dict[str, str]:
    """`fast=5` texts as names and values. Raises InvalidInput for one without `=`."""
    given: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise InvalidInput(f"--param {text!r}: write it as name=value, such as --param fast=5")
        given[name] = value
    return given


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidInput(f"algorithm file {path}: there is no such file")
    # Its neighbours can be imported, as with `python file.py`.
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem
    if name in sys.modules:
        name = f"algorithm_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, f"{path} ends in .py, which has a loader"
    assert spec.loader is not None, f"{path} ends in .py, which has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _unreadable(path, error) from error
    return module


def _from_package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InvalidInput(
                f"algorithm module {name}: there is no module {error.name}; "
                "a file is given as path/to/file.py:Class"
            ) from error
        raise _unreadable(Path(name), error) from error
    except (Exception, SystemExit) as error:
        raise _unreadable(Path(name), error) from error


def _unreadable(path: Path, error: BaseException) -> InvalidInput:
    if isinstance(error, SyntaxError):
        return InvalidInput(f"algorithm file {error.filename or path}, line {error.lineno}: {error.msg}")
    return InvalidInput(f"algorithm file {path}{_where(error)}: {type(error).__name__}: {error}")


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f", at {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""


def _classes_in(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Algorithm) and value is not Algorithm
    ]
    return f"the algorithms there are {', '.join(names)}" if names else "no algorithm is defined there"


def _check_handlers(algorithm: type[Algorithm], place: str) -> None:
    known = [name for name in dir(Algorithm) if name.startswith("on_") and callable(getattr(Algorithm, name))]
    for name in dir(algorithm):
        member = inspect.getattr_static(algorithm, name)
        if not name.startswith("on_") or not callable(getattr(algorithm, name)):
            continue
        if name not in known:
            raise InvalidInput(
                f"{algorithm.__name__}.{name} in {place} is not a handler: it would never be called; "
                f"the handlers are {', '.join(known)}"
            )
        if inspect.isgeneratorfunction(member):
            raise InvalidInput(
                f"{algorithm.__name__}.{name} in {place} yields: nothing in it would ever run; "
                "handlers are plain functions"
            )
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member):
            raise InvalidInput(
                f"{algorithm.__name__}.{name} in {place} is async: handlers are plain functions; "
                "write `def` and ask for orders with self.buy and self.sell"
            )
