"""Settings from the environment: frozen, typed, read once; unknown names are refused, secrets masked.

A variable NAME may be given as NAME_FILE instead: its value is then the content of that file, which is how
container secrets arrive. A service's own settings begin with its name (field `oms_limits`, variable
BACKBONE_OMS_LIMITS), so that one environment serves several processes while each refuses what it misspells.
"""

import os
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.config import JsonDict
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bus.errors import InvalidInput
from bus.streams import checked_name

PREFIX = "BACKBONE_"

# Read by others than the settings classes: where the command keeps its files, and which server binary to run.
_OTHERS = {"BACKBONE_HOME", "BACKBONE_SERVER_BIN"}

# A section is checked by the process it belongs to; the others pass it by.
_SECTIONS = (
    "BACKBONE_INGEST_",
    "BACKBONE_MD_",
    "BACKBONE_OMS_",
    "BACKBONE_ALGO_",
    "BACKBONE_OPS_",
    "BACKBONE_PARAM_",
)

SettingsType = TypeVar("SettingsType", bound="BusSettings")


def _read_by(*processes: str) -> JsonDict:
    """Name the processes that use a setting, where not all do that accept it."""
    return {"read_by": list(processes)}


class BusSettings(BaseSettings):
    """What every process needs: the two servers and the account."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        # Compose files pass a variable that is not set on as an empty one.
        env_ignore_empty=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    md_redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias="MD_REDIS_URL",
        repr=False,
        description="the address of the market-data server",
    )
    orders_redis_url: str = Field(
        default="redis://127.0.0.1:6380/0",
        validation_alias="ORDERS_REDIS_URL",
        repr=False,
        description="the address of the orders server",
    )
    trading: Literal["paper", "live"] = Field(
        default="paper", description="which account the keys are of; live trades with real money"
    )
    # Paper and live share no name unless somebody gives them one: a name is a journal, halts and a directory.
    account: str = Field(
        default_factory=lambda earlier: str(earlier.get("trading", "paper")),
        description="the account's name in streams and keys: 1 to 32 of a-z, 0-9 and '-'; where none is "
        "given, paper or live, as BACKBONE_TRADING says",
        json_schema_extra={"default_shown": "$BACKBONE_TRADING"},
    )
    halt_file: Path | None = Field(
        default=None,
        description="the halt file: `backbone halt` writes halts down in it, and they hold for the OMS that "
        "shares it even with no server",
        json_schema_extra={
            "default_shown": "$BACKBONE_HOME/halts-$BACKBONE_ACCOUNT.json",
            **_read_by("oms", "ops"),
        },
    )
    journal_archive: Path | None = Field(
        default=None,
        description="the directory in which journals are archived; with one the OMS archives its journal at "
        "the end of each trading day, and trims it",
        json_schema_extra=_read_by("oms", "ops"),
    )
    journal_keep_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="days for which entries of the journal stay on the server once they are archived",
        json_schema_extra=_read_by("oms", "ops"),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="the lowest level of log lines that are written",
        json_schema_extra=_read_by("ingest", "oms", "algo"),
    )

    @field_validator("account")
    @classmethod
    def _account_name(cls, value: str) -> str:
        try:
            return checked_name(value, "account")
        except InvalidInput as error:
            raise ValueError(str(error)) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments and the environment; no other file is read unasked."""
        return init_settings, env_settings


class AlpacaSettings(BusSettings):
    """How to reach Alpaca. Paper unless BACKBONE_TRADING=live; None means Alpaca's own address."""

    alpaca_api_key: SecretStr | None = Field(
        default=None, validation_alias="ALPACA_API_KEY", description="the id of the API key"
    )
    alpaca_secret_key: SecretStr | None = Field(
        default=None, validation_alias="ALPACA_SECRET_KEY", description="the secret of the API key"
    )
    trading_url: str | None = Field(
        default=None,
        description="the address of the trading API; without it Alpaca's own, of paper or live",
        json_schema_extra=_read_by("oms", "ops"),
    )
    trading_stream_url: str | None = Field(
        default=None,
        description="the address of the trade updates; without it Alpaca's own, of paper or live",
        json_schema_extra=_read_by("ingest"),
    )
    data_url: str | None = Field(
        default=None,
        description="the address of the market-data API; without it Alpaca's own",
        json_schema_extra=_read_by("ingest", "ops"),
    )
    data_requests_per_minute: int = Field(
        default=200,
        ge=10,
        le=100_000,
        description="requests that the market-data API is sent in any minute; the smallest plan allows 200",
        json_schema_extra=_read_by("ingest", "ops"),
    )
    market_stream_url: str | None = Field(
        default=None,
        description="the address of the server of all market-data streams, to which each adds its path; "
        "without it Alpaca's own",
        json_schema_extra=_read_by("ingest"),
    )
    stocks_stream_url: str | None = Field(
        default=None,
        description="the whole address of the stock stream, where it is on no server with the others",
        json_schema_extra=_read_by("ingest"),
    )
    crypto_stream_url: str | None = Field(
        default=None,
        description="the whole address of the crypto stream, where it is on no server with the others",
        json_schema_extra=_read_by("ingest"),
    )
    options_feed: Literal["indicative", "opra"] = Field(
        default="indicative",
        description="the option feed; opra is a matter of the plan",
        json_schema_extra=_read_by("ingest"),
    )
    feed: Literal["iex", "sip", "delayed_sip", "boats", "overnight", "test"] = Field(
        default="iex",
        description="the stock feed; which ones the keys may read is a matter of their plan",
        json_schema_extra=_read_by("ingest", "ops"),
    )

    feed_fallback: str = Field(
        default="",
        description="what stands in for the stock feed while it is not to be had, in order, such as "
        "iex,rest; rest asks for last trades, quotes and bars over HTTP",
        json_schema_extra=_read_by("ingest"),
    )

    @field_validator("feed_fallback")
    @classmethod
    def _known_feeds(cls, value: str, info: ValidationInfo) -> str:
        names = [name.strip() for name in value.split(",") if name.strip()]
        known = ("iex", "sip", "delayed_sip", "boats", "overnight", "rest")
        if wrong := [name for name in names if name not in known]:
            raise ValueError(f"{wrong[0]!r} is no feed that can stand in: use {', '.join(known)}")
        if len({*names, info.data.get("feed")}) <= len(names):
            raise ValueError(f"each feed once, and not the one that they stand in for: {', '.join(names)}")
        if "rest" in names[:-1]:
            raise ValueError("rest is always to be had: what follows it would never be tried")
        if names and info.data.get("stocks_stream_url"):
            raise ValueError("BACKBONE_STOCKS_STREAM_URL names one stream: use BACKBONE_MARKET_STREAM_URL")
        return ",".join(names)

    @field_validator("trading_url", "data_url")
    @classmethod
    def _http_address(cls, value: str | None) -> str | None:
        return _checked_address(value, ("http", "https"))

    @field_validator(
        "trading_stream_url",
        "stocks_stream_url",
        "crypto_stream_url",
        "market_stream_url",
    )
    @classmethod
    def _stream_address(cls, value: str | None) -> str | None:
        return _checked_address(value, ("ws", "wss"))

    @property
    def trading_host(self) -> str:
        """Alpaca's own host of the trading API and the trade updates, of paper unless live was asked for."""
        return "api.alpaca.markets" if self.trading == "live" else "paper-api.alpaca.markets"

    @property
    def trading_api_url(self) -> str:
        """The trading API's address."""
        return self.trading_url or f"https://{self.trading_host}"

    def keys(self) -> tuple[str, str]:
        """The API key and the secret key. Raises InvalidInput where one is missing."""
        if self.alpaca_api_key is None or self.alpaca_secret_key is None:
            raise InvalidInput(
                "Alpaca's keys are missing: set ALPACA_API_KEY and ALPACA_SECRET_KEY, "
                "or ALPACA_API_KEY_FILE and ALPACA_SECRET_KEY_FILE"
            )
        return self.alpaca_api_key.get_secret_value(), self.alpaca_secret_key.get_secret_value()


def _checked_address(value: str | None, schemes: tuple[str, ...]) -> str | None:
    """The same address. Raises ValueError, which does not show it: a password may be in it."""
    if value is None:
        return None
    allowed = f"it is no address: use {' or '.join(f'{one}://host:port' for one in schemes)}"
    try:
        parts = urlsplit(value)
        known = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(allowed) from None
    if not known or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(allowed)
    return value


def load(cls: type[SettingsType], **given: Any) -> SettingsType:
    """Read settings from the environment; `given` values (from the command line) come first.

    Raises InvalidInput that names the variable, what is wrong with it and what is allowed, and never shows
    a value that may be a secret.
    """
    _refuse_unknown(cls)
    values = _from_files(cls) | {name: value for name, value in given.items() if value is not None}
    try:
        return cls(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        variable = variable_name(cls, str(first["loc"][0]))
        raise InvalidInput(f"{variable}: {first['msg']}") from None


def variable_name(cls: type[BusSettings], field: str) -> str:
    """Return the environment variable of a field; errors name a field by its alias where it has one."""
    info = cls.model_fields.get(field)
    alias = info.validation_alias if info is not None else field
    return str(alias) if alias else PREFIX + field.upper()


def _from_files(cls: type[BusSettings]) -> dict[str, str]:
    """Fields whose variable is given as NAME_FILE, with the content of that file."""
    values = {}
    for field in cls.model_fields:
        variable = variable_name(cls, field)
        path = os.environ.get(f"{variable}_FILE")
        if path is None:
            continue
        if variable in os.environ:
            raise InvalidInput(f"{variable} and {variable}_FILE are both set: keep one")
        try:
            values[field] = Path(path).read_text().strip()
        except OSError as error:
            raise InvalidInput(f"{variable}_FILE={path}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise InvalidInput(f"{variable}_FILE={path}: is not text") from None
        if not values[field]:
            raise InvalidInput(f"{variable}_FILE={path}: is empty")
    return values


def _refuse_unknown(cls: type[BusSettings]) -> None:
    own = {variable_name(cls, field) for field in cls.model_fields}
    known = own | {variable_name(AlpacaSettings, field) for field in AlpacaSettings.model_fields} | _OTHERS
    for name in os.environ:
        if not name.startswith(PREFIX) or name in known or name.removesuffix("_FILE") in known:
            continue
        section = next((section for section in _SECTIONS if name.startswith(section)), None)
        if section is None or any(variable.startswith(section) for variable in own):
            raise InvalidInput(f"{name} is not a setting; known here: {', '.join(sorted(known))}")
