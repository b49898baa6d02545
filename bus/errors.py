"""Errors, named for the caller's next move: mend the input, try again, look first, or stop."""


class BackboneError(Exception):
    """Everything this project raises on purpose."""


class InvalidInput(BackboneError):
    """Somebody's input is wrong. The message names the field and the allowed values; commands exit with 2."""


class NoServer(InvalidInput):
    """No server answers at an address that a setting names: start it, or correct the address."""


class Unreadable(BackboneError):
    """An entry cannot be read: unknown type or version, or data of another shape. Keep it, say so, go on."""


class ServerAway(BackboneError):
    """A server did not do what was asked, and waiting can mend it: keep it, say so, ask again."""


class ServerUnreachable(ServerAway):
    """No connection to a server, and nothing was sent: trying again is safe."""


class ReplyLost(ServerAway):
    """A command went out and no reply came: it may have been carried out. Look before sending again."""


class ServerRefused(BackboneError):
    """The server answered with an error; the command was not carried out."""


class RefusedForNow(ServerRefused, ServerAway):
    """The server takes no such command now (loading, full, read-only, failing over): away, not wrong."""


class AccessRefused(ServerRefused):
    """Wrong user or password, or this user may not do that: mend the address or the access rules."""


class Fenced(BackboneError):
    """The lease is not ours any more, so the write was not carried out. Stop writing."""
