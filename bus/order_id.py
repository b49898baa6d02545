"""Client order ids: the same trigger, handled twice, names the same order."""

import re
from hashlib import blake2b

# Sixteen bytes are 32 hexadecimal digits; with the longest name an id has 68 characters of Alpaca's 128.
_DIGEST_SIZE_BYTES = 16

# The digits at the end are so many that a name and them can be told apart, dashes in the name or not.
_FORM = re.compile(r"bb-([a-z0-9-]{1,32})-[0-9a-f]{32}")


def client_order_id(algorithm: str, lineage: str, trigger: str, content: bytes, n: int) -> str:
    """`bb-<algorithm>-<hash>` for order number `n` of this trigger.

    `lineage` is born with the algorithm's state, so that a new life with the same name makes other ids.
    `content` is what the trigger carried: an entry id that comes back with other content, after a stream was
    lost, is another trigger.
    """
    hashed = blake2b(digest_size=_DIGEST_SIZE_BYTES)
    digest = blake2b(content, digest_size=_DIGEST_SIZE_BYTES).digest()
    for part in (lineage.encode(), trigger.encode(), digest, str(n).encode()):
        # The length in front keeps ("a", "bc") apart from ("ab", "c").
        hashed.update(len(part).to_bytes(4, "big"))
        hashed.update(part)
    return f"bb-{algorithm}-{hashed.hexdigest()}"


def algorithm_of(client_order_id: str) -> str | None:
    """The algorithm whose order bears this id; None where it has not our form."""
    match = _FORM.fullmatch(client_order_id)
    return None if match is None else match.group(1)
