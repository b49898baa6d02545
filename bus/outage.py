"""What one server does not do for us now: said once when it begins and once when it is over."""

from types import TracebackType

import structlog

from bus.errors import ServerAway, ServerRefused

log = structlog.get_logger()


class Outage:
    """One thing that is asked of a server again and again, such as "heartbeat not written".

    As a context (`with outage:`) it notes what came of what was asked in the block: that the server was away,
    or refused it, is said and passed over, to be asked again. Mutable: `why`, the last error while it lasts,
    "" otherwise.
    """

    def __init__(self, what: str, **about: str) -> None:
        self.why = ""
        self._what = what
        self._about = about

    def __repr__(self) -> str:
        return f"<{self._what}: {self.why or 'no'}>"

    def goes_on(self, error: Exception | str) -> None:
        """It was refused, or not answered, once more."""
        begins, self.why = not self.why, str(error) or type(error).__name__
        if begins:
            log.warning(self._what, error=self.why, **self._about)

    def ended(self) -> None:
        """It was done."""
        if self.why:
            self.why = ""
            log.warning(f"over: {self._what}", **self._about)

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, ServerAway | ServerRefused):
            self.goes_on(error)
            return True
        if error is None:
            self.ended()
        return False
