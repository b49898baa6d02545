"""API keys, and the account that each belongs to."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and its secret; the key names the account."""

    key: str
    secret: str = field(repr=False)


OAUTH = "oauth"  # stands in place of a key where the secret is an OAuth token


class Keyring:
    """The keys of every account; a secret also serves as its account's OAuth token."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = tuple(keys)
        self.accounts = frozenset(one.key for one in keys)

    def account(self, key: object, secret: object) -> str | None:
        """Return the key that this secret belongs to; None where they do not match.

        Compares in constant time, so that the time of the answer reveals nothing of a secret.
        """
        given = f"{key}\n{secret}".encode(errors="surrogatepass")
        found: str | None = None
        for one in self._keys:
            name = OAUTH if key == OAUTH else one.key
            if hmac.compare_digest(given, f"{name}\n{one.secret}".encode()):
                found = one.key
        return found
