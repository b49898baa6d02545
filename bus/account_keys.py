"""Which API keys are of an account: the OMS, which may ask the broker, says so to ingest, which may not.

Trade updates of another account must never stand in an account's stream. A key is told by a fingerprint of
its id, so that no stream and no key of the server holds it.
"""

from hashlib import blake2b

from bus.connection import Client
from bus.streams import account_keys

_SIZE_BYTES = 16


async def confirm(client: Client, account: str, key_id: str) -> None:
    """Say that the broker was asked: this key is of the account that the journal belongs to."""
    await client.sadd(account_keys(account), fingerprint(key_id))


async def is_confirmed(client: Client, account: str, key_id: str) -> bool:
    """Whether an OMS has ever said that this key is of the account."""
    return bool(await client.sismember(account_keys(account), fingerprint(key_id)))


def fingerprint(key_id: str) -> str:
    """32 hexadecimal digits that tell keys apart and do not lead back to one."""
    return blake2b(key_id.encode(), digest_size=_SIZE_BYTES).hexdigest()
