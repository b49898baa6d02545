"""The keyring: a key opens its own account with its own secret, and no other."""

from sim.keys import ApiKey, Keyring

FIRST, SECOND = ApiKey("PK1", "one"), ApiKey("PK2", "two")


def test_a_key_opens_its_own_account() -> None:
    ring = Keyring([FIRST, SECOND])
    assert ring.account("PK1", "one") == "PK1"
    assert ring.account("PK2", "two") == "PK2"


def test_nothing_else_opens_any() -> None:
    ring = Keyring([FIRST, SECOND])
    wrong = [("PK1", "two"), ("PK2", "one"), ("PK1", None), (None, None), ("", ""), ("PK1\none", ""), (1, 2)]
    assert [ring.account(key, secret) for key, secret in wrong] == [None] * len(wrong)
    assert ring.account("\ud800", "\udfff") is None


def test_an_oauth_token_opens_its_own_account() -> None:
    ring = Keyring([FIRST, SECOND])
    assert [ring.account("oauth", token) for token in ("one", "two", "three", "")] == [
        "PK1",
        "PK2",
        None,
        None,
    ]


def test_a_secret_is_not_shown() -> None:
    assert "one" not in repr(FIRST)
