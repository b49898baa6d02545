"""Says how far a drill is, and at its end what it found."""

import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NoReturn, Protocol

import typer


class Found(Protocol):
    """What came of a drill: a struct or a dataclass that says whether all that is promised was kept."""

    @property
    def passed(self) -> bool:
        """Whether all that is promised was kept."""
        ...


def say(progress: str) -> None:
    """Tell how far a drill is: on stderr, so that what it found stands alone on standard output."""
    print(progress, file=sys.stderr, flush=True)


def conclude(
    found: Found,
    as_json: bool,
    told: Callable[[], str],
    *,
    kept: str,
    not_kept: str = "NOT KEPT:",
    differences: Iterable[str] = (),
    more: Mapping[str, float] = MappingProxyType({}),
) -> NoReturn:
    """Print what was found, and end with exit code 1 where it was not all kept.

    As JSON: whether it was, `more` and all fields. For people: what is `told`, up to the verdict; the verdict
    after it; and each difference.
    """
    import msgspec

    if as_json:
        print(msgspec.json.encode({"passed": found.passed, **more, **msgspec.to_builtins(found)}).decode())
    else:
        print(f"{told()}{kept if found.passed else not_kept}")
        for sentence in differences:
            print(f"  {sentence}")
    raise typer.Exit(0 if found.passed else 1)
