"""API keys, and whose they are."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and its secret; the key names the account."""

    key: str
    secret: str = field(repr=False)


OAUTH = "oauth"  # what stands in a key's place where the secret is an OAuth token


class Keyring:
    """The keys of every account; its secret serves as an account's OAuth token too."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = tuple(keys)
        self.accounts = frozenset(one.key for one in keys)

    def account(self, key: object, secret: object) -> str | None:
        """The key whose secret this is; None where they do not belong together.

        Compares in constant time, so that nobody learns a secret from how long the answer takes.
        """
        given = f"{key}\n{secret}".encode(errors="surrogatepass")
        found: str | None = None
        for one in self._keys:
            name = OAUTH if key == OAUTH else one.key
            if hmac.compare_digest(given, f"{name}\n{one.secret}".encode()):
                found = one.key
        return found
