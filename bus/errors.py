"""Errors, named for the caller's next move: mend the input, try again, look first, or stop."""


class BackboneError(Exception):
    """Everything this project raises on purpose."""


class InvalidInput(BackboneError):
    """Somebody's input is wrong. The message names the field and the allowed values; commands exit with 2."""


class Unreadable(BackboneError):
    """An entry cannot be read: unknown type or version, or data of another shape. Keep it, say so, go on."""


class ServerUnreachable(BackboneError):
    """No connection to a server, and nothing was sent: trying again is safe."""


class ReplyLost(BackboneError):
    """A command went out and no reply came: it may have been carried out. Look before sending again."""


class ServerRefused(BackboneError):
    """The server answered with an error; the command was not carried out."""


class Fenced(BackboneError):
    """The lease is not ours any more, so the write was not carried out. Stop writing."""
