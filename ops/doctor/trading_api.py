"""One question to Alpaca's trading API, with the keys of the settings."""

from bus.errors import InvalidInput
from bus.settings import AlpacaSettings

_WITHIN_S = 5


class NoAnswer(Exception):
    """Nobody answered; the message is the kind of the error."""


def has_keys(settings: AlpacaSettings) -> bool:
    """Whether there are keys to ask with."""
    try:
        settings.keys()
    except InvalidInput:
        return False
    return True


async def ask(settings: AlpacaSettings, path: str) -> tuple[int, bytes]:
    """The HTTP status and the body of the answer. Raises NoAnswer; InvalidInput where keys are missing."""
    import aiohttp

    key, secret = settings.keys()
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    try:
        timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(settings.trading_api_url + path) as answer,
        ):
            return answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoAnswer(type(error).__name__) from error
