"""Parses and checks the command line; an error names the argument and what it may be."""

import argparse
import ipaddress
import os
import secrets
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from bus.errors import InvalidInput
from sim.amounts import CENT, is_finer
from sim.broker.order_rules import MOST
from sim.exchange.assets import is_plausible
from sim.exchange.pace import Burst, Pace
from sim.faults.kinds import parse_line
from sim.faults.schedule import chosen
from sim.keys import ApiKey
from sim.settings import Settings
from sim.streams.outgoing import MOST_BYTES
from sim.streams.terms import Terms
from sim.times import parse_ns

VIRTUAL_START = "2026-01-05T09:30:00-05:00"
_FREE_SYMBOLS = 30
DEFAULT_SYMBOLS = "AAPL,MSFT,SPY,TSLA,NVDA,BTC/USD"
_EXAMPLE = """examples:
  backbone sim --symbols AAPL,MSFT,BTC/USD --rate 200 --bar-seconds 1
plays three symbols at 200 messages a second and prints where alpaca-py finds it.
  backbone sim --hours exchange --virtual-time --chaos 7
begins on a Monday at the opening; POST /clock {"seconds": 60} on the control endpoint lets a minute pass.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"{message}; see --help")


def parser() -> argparse.ArgumentParser:
    """Return the parser: every argument with its meaning."""
    made = _Parser(
        prog="backbone sim",
        description="An Alpaca look-alike: trading, trade updates and market data for unmodified alpaca-py.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_market(made)
    _add_time(made)
    _add_accounts(made)
    _add_edges(made)
    _add_faults(made)
    made.add_argument("--json", action="store_true", help="print one JSON object with URLs and keys")
    return made


def _add_market(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("the market").add_argument
    add("--symbols", default=None, help=f"comma-separated; default {DEFAULT_SYMBOLS}")
    add("--rate", default="200", help="quotes and trades a second, all symbols together (default 200)")
    add("--burst", help="RATE:SECONDS:EVERY, such as 5000:1:10: at the end of every 10 s, 1 s of 5,000/s")
    add("--seed", default="1", help="the same seed makes the same market (default 1)")
    add("--data", help="play a recorded .ndjson or .ndjson.gz file, from the first subscription on")
    add("--speed", default="1", help="play recorded data this many times faster (default 1)")
    add("--keep-times", action="store_true", help="keep recorded times; by default they become now")
    add("--bar-seconds", default="60", help="the period of bars on the stream (default 60)")
    add("--mistakes-per-minute", default="0", help="trades corrected, canceled or told late (default 0)")
    add("--news-per-minute", default="0", help="news articles (default 0)")


def _add_time(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("the time").add_argument
    add("--hours", default="always", help="always (default), or exchange: New York's sessions and holidays")
    add("--start", help="begin at this time, such as 2026-01-05T09:29:00-05:00 (default: now)")
    add("--virtual-time", action="store_true", help="time stands still until POST /clock advances it")


def _add_accounts(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("the accounts").add_argument
    add("--accounts", default="1", help="how many accounts, each with keys of its own (default 1)")
    add("--cash", default="100000", help="dollars in the account (default 100000)")
    add("--key", help="API key id (default: $SIM_API_KEY, or a new one each run)")
    add("--secret", help="API secret (default: $SIM_SECRET_KEY, or a new one each run)")
    add("--partial-chance", default="0.1", help="how often a fill is partial, 0 to 1 (default 0.1)")
    add("--fractional", default="any", help="fractions of shares by any order (default) or market alone")
    add("--pending-new-updates", action="store_true", help="tell of each order's pending_new before its new")


def _add_edges(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("the edges").add_argument
    add("--host", default="127.0.0.1", help="beyond loopback only with --key and --secret")
    add("--port", default="0", help="trading and data; 0 takes a free one (default)")
    add("--control-port", default="0", help="always on loopback; 0 takes a free one (default)")
    add("--plan", default="paid", help="free: 30 symbols of trades and quotes, no sip and no opra; or paid")
    add("--symbol-limit", help="refuse more symbols than this with error 405 (default: what the plan says)")
    add("--requests-per-minute", default="200", help="trading requests (default 200)")
    add("--data-requests-per-minute", default="200", help="market-data requests (default 200)")
    add("--auth-seconds", default="10", help="how long a market-data client may take to log in (default 10)")
    add("--frame-messages", help="send frames of exactly so many messages (default: what is due)")
    add("--slow-client-bytes", default=str(MOST_BYTES), help="waiting for a client before error 407 (64 MiB)")
    add("--no-deflate", action="store_true", help="compress no websocket, whatever the client offers")


def _add_faults(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("what goes wrong").add_argument
    add("--fault", action="append", default=[], help="such as disconnect:stream=stocks,seconds=2; repeatable")
    add("--chaos", help="draw a schedule of faults from this seed; the same seed makes the same schedule")
    add("--chaos-faults", help="comma-separated kinds to draw from (default: all that a client can survive)")
    add("--chaos-every", help="mean seconds of quiet between two faults (default 10)")


def read(argv: list[str] | None) -> Settings:
    """Return the settings of these arguments. Raises InvalidInput naming the argument and what it may be."""
    given = parser().parse_args(argv)
    # The environment is for keys that other users must not see in the list of processes.
    key = given.key or os.environ.get("SIM_API_KEY")
    secret = given.secret or os.environ.get("SIM_SECRET_KEY")
    if given.fractional not in ("any", "market"):
        raise InvalidInput(f"--fractional is {given.fractional!r}; allowed: any, market")
    if given.hours not in ("always", "exchange"):
        raise InvalidInput(f"--hours is {given.hours!r}; allowed: always, exchange")
    if not _is_loopback(given.host) and not (key and secret):
        raise InvalidInput(
            f"--host {given.host} listens beyond this machine: give --key and --secret too "
            "(or set SIM_API_KEY and SIM_SECRET_KEY), or leave it out"
        )
    _check_together(given)
    return Settings(
        host=given.host,
        port=_whole("--port", given.port, 0, 65_535),
        control_port=_whole("--control-port", given.control_port, 0, 65_535),
        keys=_keys(key, secret, _whole("--accounts", given.accounts, 1, 1_000)),
        symbols=_symbols(given.symbols or DEFAULT_SYMBOLS),
        pace=Pace(_number("--rate", given.rate, 0, 10_000_000), _burst(given.burst)),
        seed=_whole("--seed", given.seed, 0, 2**63),
        data=None if given.data is None else Path(given.data),
        speed=_number("--speed", given.speed, 0.001, 1_000_000),
        keeps_times=given.keep_times,
        bar_seconds=_whole("--bar-seconds", given.bar_seconds, 1, 86_400),
        cash=_cash(given.cash),
        start_ns=_start(given.start, given.virtual_time),
        is_virtual=given.virtual_time,
        never_closes=given.hours == "always",
        fractions_at_market_only=given.fractional == "market",
        tells_pending_new=given.pending_new_updates,
        partial_chance=_number("--partial-chance", given.partial_chance, 0, 1),
        requests_per_minute=_whole("--requests-per-minute", given.requests_per_minute, 1, 10_000_000),
        data_requests_per_minute=_whole(
            "--data-requests-per-minute", given.data_requests_per_minute, 1, 10_000_000
        ),
        stream_terms=_stream_terms(given),
        mistakes_a_minute=_number("--mistakes-per-minute", given.mistakes_per_minute, 0, 6_000),
        news_a_minute=_number("--news-per-minute", given.news_per_minute, 0, 6_000),
        faults=_faults(given.fault),
        chaos_seed=None if given.chaos is None else _whole("--chaos", given.chaos, 0, 2**63),
        chaos_faults=_chaos_faults(given.chaos_faults),
        chaos_every_ms=int(1000 * _number("--chaos-every", given.chaos_every or "10", 0.1, 86_400)),
        prints_json=given.json,
    )


def _keys(key: str | None, secret: str | None, count: int) -> tuple[ApiKey, ...]:
    first, *others = (
        ApiKey("PK" + secrets.token_hex(9).upper(), secrets.token_urlsafe(30)) for _ in range(count)
    )
    return (ApiKey(key or first.key, secret or first.secret), *others)


def _start(text: str | None, is_virtual: bool) -> int | None:
    """Return when the run's time begins; virtual time begins at the same Monday's opening in every run."""
    if text is None:
        return parse_ns(VIRTUAL_START) if is_virtual else None
    try:
        return parse_ns(text)
    except ValueError as error:
        raise InvalidInput(
            f"--start is {text!r}; allowed: RFC 3339, such as 2026-01-05T09:29:00-05:00"
        ) from error


def _check_together(given: argparse.Namespace) -> None:
    """Refuse arguments that need another one, or exclude one another."""
    if given.data is None and (given.keep_times or given.speed != "1"):
        raise InvalidInput("--speed and --keep-times are about recorded data: give --data as well")
    if given.data is not None and (given.symbols is not None or given.burst is not None):
        raise InvalidInput("--data brings its own symbols and rate: leave out --symbols and --burst")
    if given.chaos is None and (given.chaos_faults is not None or given.chaos_every is not None):
        raise InvalidInput("--chaos-faults and --chaos-every are about a schedule: give --chaos as well")


def _stream_terms(given: argparse.Namespace) -> Terms:
    if given.plan not in ("free", "paid"):
        raise InvalidInput(f"--plan is {given.plan!r}; allowed: free, paid")
    is_free = given.plan == "free"
    symbol_limit = _optional("--symbol-limit", given.symbol_limit, 1_000_000)
    return Terms(
        frame_messages=_optional("--frame-messages", given.frame_messages, 3_000),
        symbol_limit=_FREE_SYMBOLS if is_free and symbol_limit is None else symbol_limit,
        is_free=is_free,
        auth_seconds=_number("--auth-seconds", given.auth_seconds, 0.001, 3_600),
        compresses=not given.no_deflate,
        most_waiting_bytes=_whole("--slow-client-bytes", given.slow_client_bytes, 1, 2**40),
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _faults(lines: list[str]) -> tuple[dict[str, Any], ...]:
    try:
        return tuple(parse_line(line) for line in lines)
    except InvalidInput as error:
        raise InvalidInput(f"--fault: {error}") from error


def _chaos_faults(text: str | None) -> tuple[str, ...]:
    try:
        return chosen(text)
    except InvalidInput as error:
        raise InvalidInput(f"--chaos-faults: {error}") from error


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise InvalidInput(f"{name} is {text!r}; allowed: a number from {least:g} to {most:g}")
    return value


def _whole(name: str, text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InvalidInput(f"{name} is {text!r}; allowed: a whole number from {least} to {most}")
    return int(text)


def _optional(name: str, text: str | None, most: int) -> int | None:
    return None if text is None else _whole(name, text, 1, most)


def _cash(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= MOST or is_finer(value, CENT):
        raise InvalidInput(f"--cash is {text!r}; allowed: dollars from 0 to {MOST}, in whole cents")
    return value


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for symbol in symbols:
        if not is_plausible(symbol):
            raise InvalidInput(f"--symbols has {symbol!r}; allowed: such as AAPL, BRK.B or BTC/USD")
    return symbols


def _burst(text: str | None) -> Burst | None:
    if text is None:
        return None
    parts: list[Any] = text.split(":")
    if len(parts) != 3:
        raise InvalidInput(f"--burst is {text!r}; allowed: RATE:SECONDS:EVERY, such as 5000:1:10")
    rate = _number("--burst RATE", parts[0], 0, 10_000_000)
    seconds = _number("--burst SECONDS", parts[1], 0.001, 86_400)
    every_s = _number("--burst EVERY", parts[2], 0.001, 86_400)
    if seconds > every_s:
        raise InvalidInput(f"--burst is {text!r}; SECONDS must not be more than EVERY")
    return Burst(rate, seconds, every_s)
