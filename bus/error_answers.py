"""Turn an error answer of a server into the error that says what to do next."""

from bus.errors import AccessRefused, Fenced, RefusedForNow, ServerRefused

# First words of answers that pass by themselves: a server that is loading, busy, full, read-only, short of
# replicas, unable to save, or in the middle of a failover.
_PASSING = frozenset(
    ("LOADING", "BUSY", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN")
)
_FULL = "ERR max number of clients"

# An old server says the second of AUTH without a password of its own, a new one WRONGPASS.
_NO_ACCESS = frozenset(("WRONGPASS", "NOAUTH", "NOPERM"))
_BAD_PASSWORD = ("ERR invalid password", "ERR AUTH <password> called without any password")


def says_replica(text: str) -> bool:
    """Whether an answer says that its server is a replica: its address may lead to another one by now."""
    return text.startswith("READONLY")


def refusal(text: str) -> ServerRefused | Fenced:
    """Return the error to raise for an error answer; its text is the answer's."""
    word = text.partition(" ")[0]
    if word == "FENCED":
        return Fenced(text)
    if word in _PASSING or text.startswith(_FULL):
        return RefusedForNow(text)
    if word in _NO_ACCESS or text.startswith(_BAD_PASSWORD):
        return AccessRefused(text)
    return ServerRefused(text)
