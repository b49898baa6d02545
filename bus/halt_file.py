"""The halt file: halts written down beside the OMS, so that they hold with no server at all.

`backbone halt` and the OMS write it, and the OMS unites it with the halt key. It is JSON for people: somebody
may halt with an editor. Whatever cannot be read in it halts everything.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from bus.control_messages import Halt, ReduceOnly, Resume
from bus.errors import InvalidInput, Unreadable
from bus.halt_state import checked_scope, same_scopes
from bus.rfc3339 import time_ns, written

_ABOUT = (
    "Halts of trading. The OMS that shares this file sends no orders in these scopes, whatever its server "
    "says, until `backbone resume --reason ...`. What cannot be read here halts everything."
)

Modes = Mapping[str, Halt | ReduceOnly]

_NOTHING: Modes = MappingProxyType({})


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    scope: str
    mode: Literal["halted", "reduce_only"]
    reason: str
    by: str
    at: str
    # Whether only a person who gives a name lifts it; written where it is so alone, for earlier versions.
    needs_name: bool = False


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str = _ABOUT
    halts: tuple[_Written, ...] = ()


def path_of(given: Path | None, account: str) -> Path:
    """The file that is given, or that of this account in $BACKBONE_HOME (~/.backbone)."""
    home = Path(os.environ.get("BACKBONE_HOME") or Path.home() / ".backbone")
    return given or home / f"halts-{account}.json"


def read(path: Path) -> Modes:
    """What is halted in it, by scope; nothing where there is no file. Raises Unreadable, which names it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return _NOTHING
    except OSError as error:
        raise Unreadable(f"the halt file {path} cannot be read: {error.strerror}") from error
    try:
        halts = msgspec.json.decode(raw, type=_Content).halts
        return MappingProxyType({checked_scope(one.scope): _message(one) for one in halts})
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidInput, Unreadable) as error:
        raise Unreadable(f"the halt file {path} cannot be read: {error}") from error


def write_halt(path: Path, message: Halt | ReduceOnly) -> Modes:
    """Write a halt down, in place of one of the same scope; returns what is halted in the file then.

    Where only a named person lifts the one before, so it is with this one, and reduce-only leaves it as it
    is. Raises Unreadable for a file that halts everything already, and leaves it; OSError where it cannot be
    written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path):
        before = read(path)
        replaced = [mode for scope, mode in before.items() if scope in same_scopes(message.scope)]
        if any(isinstance(mode, Halt) and mode.latched for mode in replaced):
            if not isinstance(message, Halt):
                return before
            message = msgspec.structs.replace(message, latched=True)
        kept = {scope: mode for scope, mode in before.items() if mode not in replaced}
        modes = kept | {message.scope: message}
        _write(path, modes)
    return modes


def lift(path: Path, resume: Resume) -> Modes:
    """Take away what a resume lifts; returns that. What was written after the resume stays.

    One of everything takes the whole file away, also where it cannot be read. Raises Unreadable for such a
    file and a resume of less; OSError where it cannot be written.
    """
    if not path.exists():
        return _NOTHING
    with _locked(path):
        try:
            modes = read(path)
        except Unreadable as error:
            if resume.scope != "all":
                raise
            path.unlink(missing_ok=True)
            return {"all": Halt(scope="all", reason=str(error), by="", at_ns=0)}
        lifted = {
            scope: mode
            for scope, mode in modes.items()
            if (resume.scope == "all" or scope in same_scopes(resume.scope)) and mode.at_ns <= resume.at_ns
        }
        left = {scope: mode for scope, mode in modes.items() if scope not in lifted}
        if lifted and left:
            _write(path, left)
        elif lifted or not left:
            path.unlink(missing_ok=True)
    return lifted


def _message(one: _Written) -> Halt | ReduceOnly:
    at_ns = time_ns(one.at)
    if one.mode == "halted":
        return Halt(scope=one.scope, reason=one.reason, by=one.by, at_ns=at_ns, latched=one.needs_name)
    return ReduceOnly(scope=one.scope, reason=one.reason, by=one.by, at_ns=at_ns)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file for reading and writing it anew: beside it, since the file itself is replaced."""
    with open(path.with_name(f"{path.name}.lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, modes: Modes) -> None:
    """Put the file there as a whole, on the disk: power may fail in the next moment."""
    content = _Content(
        halts=tuple(
            _Written(
                scope=scope,
                mode="halted" if isinstance(mode, Halt) else "reduce_only",
                reason=mode.reason,
                by=mode.by,
                at=written(mode.at_ns),
                needs_name=isinstance(mode, Halt) and mode.latched,
            )
            for scope, mode in sorted(modes.items())
        )
    )
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
