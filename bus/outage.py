"""What one server does not do for us now: said once when it begins and once when it is over."""

import structlog

log = structlog.get_logger()


class Outage:
    """One thing that is asked of a server again and again, such as "heartbeat not written".

    Mutable: `why`, the last error while it lasts, "" otherwise.
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
