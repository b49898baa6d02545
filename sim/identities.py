"""Makes ids of orders, fills and accounts: UUIDs, random or from a seed."""

import random
import uuid
from collections.abc import Callable


def identities(seed: int | None) -> Callable[[], str]:
    """Return a function that makes ids: never the same in two runs, or the same in every run of a seed."""
    if seed is None:
        return lambda: str(uuid.uuid4())
    rng = random.Random(f"identities of {seed}")
    return lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4))
