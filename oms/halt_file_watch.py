"""The halt file as the OMS follows it: united with the halt key, and written where it halts by itself."""

from collections.abc import Callable
from pathlib import Path

import structlog

from bus import halt_file
from bus.control_messages import Halt, ReduceOnly, Resume
from bus.errors import Unreadable
from bus.file_stamp import Stamp, stamp_of
from bus.halt import HaltWatch
from bus.halt_state import HaltState, united
from bus.heartbeat import HaltFileDetails

log = structlog.get_logger()


class HaltFileWatch:
    """Follows the halt file: it is looked at with one call, and read where it changed.

    Mutable: `modes`, by scope; what the file looked like; which of these the key lacked, and which were put
    in force.
    """

    def __init__(
        self,
        given: Path | None,
        account: str,
        key: HaltWatch,
        put_in_force: Callable[[Halt | ReduceOnly], None],
    ) -> None:
        self.path = halt_file.path_of(given, account)
        self._key = key
        self.modes: halt_file.Modes = {}
        self._put_in_force = put_in_force
        self._looked: Stamp = ()
        self._lacking: halt_file.Modes = {}
        self._told: set[Halt | ReduceOnly] = set()

    def __repr__(self) -> str:
        return f"<halts in {self.path}: {', '.join(self.modes) or 'none'}>"

    @property
    def state(self) -> HaltState:
        """The halt key as last read, with what the file says: of each scope the stricter."""
        return united(self._key.state, self.modes) if self.modes else self._key.state

    def details(self) -> HaltFileDetails:
        """What the file says, for the heartbeat."""
        shown = {scope: f"{mode.reason} (by {mode.by})" for scope, mode in sorted(self.modes.items())}
        return HaltFileDetails(file=str(self.path), scopes=shown)

    def look(self) -> None:
        """Read the file if it has changed, and have everyone told of it by the key.

        One that cannot be read halts everything.
        """
        looks = stamp_of(self.path)
        if looks != self._looked:
            self._looked = looks
            self._read()
        self._tell()

    def _read(self) -> None:
        try:
            self.modes = halt_file.read(self.path)
        except Unreadable as error:
            self.modes = {"all": Halt(scope="all", reason=str(error), by="the halt file", at_ns=0)}
        if self.modes:
            log.error("halts in the halt file", file=str(self.path), scopes=sorted(self.modes))

    def _tell(self) -> None:
        """Put in force for everyone what the key lacks, now and at the look before.

        Whoever writes the file writes the key too, a moment later: one look proves nothing.
        """
        state = self._key.state
        lacking = {
            scope: mode
            for scope, mode in self.modes.items()
            if united(state, {scope: mode}).scopes != state.scopes
        }
        for scope, mode in lacking.items():
            if self._lacking.get(scope) == mode and mode not in self._told:
                self._told.add(mode)
                self._put_in_force(mode)
        self._lacking = lacking

    def halt(self, message: Halt) -> None:
        """Write a halt of the OMS's own down, and put it in force for everyone."""
        log.error("trading halted", scope=message.scope, reason=message.reason)
        try:
            halt_file.write_halt(self.path, message)
        except (OSError, Unreadable) as error:
            log.error("halt not written down", scope=message.scope, error=str(error))
        self.look()
        self._told.add(message)
        self._put_in_force(message)

    def resume(self, message: Resume) -> None:
        """Lift what a resume lifts, wherever it was given."""
        try:
            halt_file.lift(self.path, message)
        except (OSError, Unreadable) as error:
            log.error("halts not lifted in the halt file", scope=message.scope, error=str(error))
        self.look()
