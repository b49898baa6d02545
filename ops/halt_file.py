"""The halt file as `backbone halt` and `backbone resume` use it: before any server, which may not answer."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from bus.control_messages import Halt, ReduceOnly, Resume
from bus.errors import BackboneError, Unreadable
from bus.halt_file import Modes, lift, path_of, read, write_halt
from bus.settings import BusSettings, load
from ops.running import Servers, known_servers


@dataclass(frozen=True)
class HaltFileChange:
    """What was done with the halt file. `lifted` and `left` are scopes; `error` is why nothing was done.

    `modes` is what could be read in it before.
    """

    file: Path
    account: str
    servers: Servers | None
    modes: Modes = field(default_factory=dict)
    lifted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    error: str = ""


def found() -> HaltFileChange:
    """What is in it, with nothing done about it. Raises InvalidInput as `known_servers` does."""
    settings = load(BusSettings)
    servers = known_servers(settings, orders_only=True)
    path = file_of(settings, servers)
    account = settings.account if servers is None else servers.account
    try:
        return HaltFileChange(path, account, servers, read(path))
    except Unreadable:
        return HaltFileChange(path, account, servers)


def change(message: Halt | ReduceOnly | Resume) -> HaltFileChange:
    """Write a halt down, or take away what a resume lifts.

    Raises InvalidInput as `known_servers` does, and BackboneError for a resume of one scope where the file
    cannot be read: it halts everything, and only a resume of everything lifts that.
    """
    before = found()
    path = before.file
    lifted: list[str] = []
    error = ""
    try:
        if isinstance(message, Resume):
            lifted = sorted(lift(path, message))
        else:
            write_halt(path, message)
    except Unreadable as unreadable:
        if isinstance(message, Resume):
            raise BackboneError(
                f"{unreadable}: so everything is halted, and nothing was resumed. Mend it, or lift all "
                "with `backbone resume --reason ...` without a scope"
            ) from unreadable
        error = f"{unreadable}: it halts everything as it is, and was left so"
    except OSError as refused:
        error = f"the halt file {path} cannot be written: {refused.strerror}"
    return replace(before, lifted=lifted, left=_scopes(path), error=error)


def sentence(message: Halt | ReduceOnly | Resume, done: HaltFileChange) -> str:
    """What was done, for people; empty where there was nothing to lift."""
    if done.error:
        return f"WARNING: {done.error}"
    if not isinstance(message, Resume):
        return f"Written to {done.file}: it holds at every start until `backbone resume`."
    if not done.lifted:
        return ""
    left = f"; still in it: {', '.join(done.left)}" if done.left else ""
    return f"Lifted in the halt file {done.file} too: {', '.join(done.lifted)}{left}."


def without_server(message: Halt | ReduceOnly | Resume, done: HaltFileChange, why: str) -> str:
    """What holds now, and what will at the next start, where no orders server took the word."""
    if isinstance(message, Resume):
        lifted = sentence(message, done) or f"No halt was in {done.file}."
        return (
            f"{lifted}\n{why}\n"
            "Not resumed there: what the orders server has halted stays halted. Give the command again once "
            "it answers."
        )
    if done.error:
        return (
            f"{why}\n{done.error}\n"
            "This command has halted nothing: stop the OMS, or cancel and block trading at the broker."
        )
    scope = "everything" if message.scope == "all" else message.scope
    return (
        f"{why}\n"
        f"Written to {done.file}: {scope} is {_mode(message)}.\n"
        "Now: an OMS that shares this file holds to it at once. Any other sends nothing from 500 ms after it "
        "could last read control; where it still can, it trades on.\n"
        "At the next start it holds before anything is sent, until `backbone resume --reason ...`.\n"
        "Open orders and positions stay at the broker: where no OMS is alive, "
        "`backbone flatten --without-oms --reason ...` closes the whole account there."
    )


def file_of(settings: BusSettings, servers: Servers | None) -> Path:
    """The halt file of what runs, or of the account in the settings."""
    if servers is not None and servers.halt_file:
        return Path(servers.halt_file)
    return path_of(settings.halt_file, settings.account if servers is None else servers.account)


def shown(settings: BusSettings, servers: Servers | None) -> str:
    """What is halted in it, as a sentence; empty where nothing is."""
    path = file_of(settings, servers)
    try:
        modes = read(path)
    except Unreadable as error:
        return f"HALTED: everything, at the next start too: {error}"
    if not modes:
        return ""
    each = "; ".join(
        f"{scope} {_mode(one)}, {one.reason} (by {one.by})" for scope, one in sorted(modes.items())
    )
    return f"HALTED in {path}, at the next start too: {each}"


def _mode(message: Halt | ReduceOnly) -> str:
    return "halted" if isinstance(message, Halt) else "reduce only"


def _scopes(path: Path) -> list[str]:
    try:
        return sorted(read(path))
    except Unreadable:
        return ["all"]
