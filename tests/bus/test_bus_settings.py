"""Settings from the environment and from files; unknown names refused, secrets shown nowhere."""

from pathlib import Path

import pytest

from bus.errors import InvalidInput
from bus.settings import AlpacaSettings, BusSettings, load

SECRET = "hunter2secret"


class OmsSettings(BusSettings):
    """A service's settings, as a service defines them."""

    oms_limits: str = "limits.toml"
    oms_most: int = 5


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("BACKBONE_", "ALPACA_", "MD_REDIS", "ORDERS_REDIS")):
            monkeypatch.delenv(name)


def test_defaults_are_paper_and_loopback() -> None:
    settings = load(AlpacaSettings)
    assert settings.trading == "paper"
    assert settings.account == "paper"
    assert "127.0.0.1" in settings.md_redis_url
    assert settings.md_redis_url != settings.orders_redis_url


def test_the_environment_is_read_once_and_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MD_REDIS_URL", "redis://md:1/0")
    monkeypatch.setenv("BACKBONE_TRADING", "live")
    settings = load(AlpacaSettings)
    assert (settings.md_redis_url, settings.trading) == ("redis://md:1/0", "live")
    with pytest.raises(ValueError, match="frozen"):
        settings.trading = "paper"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("trading", "named", "account"),
    [
        (None, None, "paper"),
        ("paper", None, "paper"),
        ("live", None, "live"),
        ("live", "", "live"),
        ("live", "paper", "paper"),
        ("paper", "live", "live"),
        (None, "second", "second"),
        ("live", "second", "second"),
    ],
)
@pytest.mark.parametrize("cls", [BusSettings, AlpacaSettings])
def test_paper_and_live_have_names_of_their_own_unless_one_is_given(
    monkeypatch: pytest.MonkeyPatch,
    cls: type[BusSettings],
    trading: str | None,
    named: str | None,
    account: str,
) -> None:
    for variable, value in (("BACKBONE_TRADING", trading), ("BACKBONE_ACCOUNT", named)):
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert load(cls).account == account
    # The simulator is paper, whatever else is traded.
    assert load(cls, trading="paper").account == (named or "paper")


def test_what_was_given_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MD_REDIS_URL", "redis://environment:1/0")
    monkeypatch.setenv("BACKBONE_ACCOUNT", "second")
    settings = load(BusSettings, md_redis_url="redis://given:1/0", account="third", log_level=None)
    assert settings.md_redis_url == "redis://given:1/0"
    assert settings.account == "third"
    assert settings.log_level == "info"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "")
    monkeypatch.setenv("MD_REDIS_URL", "")
    settings = load(AlpacaSettings)
    assert "127.0.0.1" in settings.md_redis_url
    with pytest.raises(InvalidInput, match="ALPACA_API_KEY and ALPACA_SECRET_KEY"):
        settings.keys()


def test_secrets_come_from_files_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the key\n")
    (tmp_path / "url").write_text(f"redis://:{SECRET}@md:1/0\n")
    monkeypatch.setenv("ALPACA_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("ALPACA_SECRET_KEY", SECRET)
    monkeypatch.setenv("MD_REDIS_URL_FILE", str(tmp_path / "url"))
    settings = load(AlpacaSettings)
    assert settings.keys() == ("the key", SECRET)
    assert settings.md_redis_url == f"redis://:{SECRET}@md:1/0"


def test_a_variable_and_its_file_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("x")
    monkeypatch.setenv("ALPACA_API_KEY", SECRET)
    monkeypatch.setenv("ALPACA_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(InvalidInput, match="ALPACA_API_KEY and ALPACA_API_KEY_FILE are both set") as raised:
        load(AlpacaSettings)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"", "is empty"), (b"\xff\xfe\x00", "is not text")]
)
def test_a_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("ALPACA_API_KEY_FILE", str(path))
    with pytest.raises(InvalidInput) as raised:
        load(AlpacaSettings)
    assert f"ALPACA_API_KEY_FILE={path}" in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["BACKBONE_TRADNG", "BACKBONE_OMS_LIMITZ", "BACKBONE_ACOUNT_FILE"])
def test_unknown_names_are_refused_and_the_known_ones_listed(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(InvalidInput, match=f"{name} is not a setting; known here: .*BACKBONE_OMS_LIMITS"):
        load(OmsSettings)


def test_what_belongs_to_other_processes_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BACKBONE_OMS_ANYTHING", "BACKBONE_INGEST_X", "BACKBONE_HOME", "BACKBONE_FEED"):
        monkeypatch.setenv(name, "iex")
    assert load(BusSettings).account == "paper"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BACKBONE_TRADING", "rael", "'paper' or 'live'"),
        ("BACKBONE_ACCOUNT", "My Account", "use 1 to 32 of a-z"),
        ("BACKBONE_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("BACKBONE_OMS_MOST", "many", "integer"),
        ("BACKBONE_TRADING_URL", "rub bish", "use http://host:port or https://host:port"),
        ("BACKBONE_TRADING_STREAM_URL", "https://here", "use ws://host:port or wss://host:port"),
        ("BACKBONE_STOCKS_STREAM_URL", "ws://here:ten", "use ws://host:port"),
        ("BACKBONE_CRYPTO_STREAM_URL", "ws://", "use ws://host:port"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    cls = OmsSettings if name == "BACKBONE_OMS_MOST" else AlpacaSettings
    with pytest.raises(InvalidInput) as raised:
        load(cls)
    assert str(raised.value).startswith(f"{name}: ")
    assert said in str(raised.value)


def test_no_secret_is_shown_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", SECRET)
    monkeypatch.setenv("ALPACA_SECRET_KEY", SECRET)
    monkeypatch.setenv("MD_REDIS_URL", f"rediss://user:{SECRET}@md:1/0?password={SECRET}")
    monkeypatch.setenv("ORDERS_REDIS_URL", f"unix:///socket?password={SECRET}")
    settings = load(AlpacaSettings)
    assert settings.alpaca_api_key is not None
    for text in (repr(settings), str(settings), str(settings.alpaca_api_key)):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("BACKBONE_TRADING", SECRET), ("BACKBONE_TRADING_STREAM_URL", f"wss://user:{SECRET}")],
)
def test_no_secret_is_shown_in_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", SECRET)
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as raised:
        load(AlpacaSettings)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
