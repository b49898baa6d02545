"""The account that the suite speaks to, asked for past every recorder."""

import requests
from target import Target

TIMEOUT_S = 30.0


def account_of(target: Target) -> dict[str, str]:
    """GET /v2/account; raises requests.HTTPError where the keys are not let in."""
    keys = {"APCA-API-KEY-ID": target.key, "APCA-API-SECRET-KEY": target.secret}
    url = f"{target.trading_url}/v2/account"
    target.check(url)
    answer = requests.get(url, headers=keys, timeout=TIMEOUT_S, allow_redirects=False)
    answer.raise_for_status()
    found: dict[str, str] = answer.json()
    return found
