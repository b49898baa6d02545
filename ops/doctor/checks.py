"""Runs the checks of `backbone doctor`: reads settings, servers and files, and applies the rules to them."""

import os
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import orjson

from bus import halt, streams
from bus.connection import Client, connect, shown
from bus.embedded import server_binary
from bus.errors import InvalidInput, ServerAway, ServerRefused, Unreadable
from bus.settings import AlpacaSettings, load
from oms.broker.alpaca_account import read_account
from oms.limits.limit_names import unmatched
from oms.limits.limits_file import read_limits
from oms.settings import OmsSettings
from oms.state.inputs import AccountRead
from ops.doctor import retention_rules, rules
from ops.doctor.archive_checks import archive_finding
from ops.doctor.calendar_checks import calendar_findings
from ops.doctor.retention_checks import retention_finding
from ops.doctor.rules import Finding
from ops.doctor.spool_rules import spools
from ops.doctor.trading_api import NoAnswer, ask, has_keys
from ops.pinned_account import pinned_account
from ops.running import Servers, given_servers, home, read
from ops.status.heartbeat_reader import read_heartbeats
from ops.status.heartbeats import Found, leading_oms
from ops.status.model import shown_halts

_CONFIG = ("appendonly", "appendfsync", "maxmemory-policy", "maxmemory")


async def run_checks(*, shared: bool) -> list[Finding]:
    """Run every check and return what it found. Raises InvalidInput for settings that cannot be read."""
    settings = load(AlpacaSettings)
    keys, number = await _keys(settings)
    findings = [keys, *await calendar_findings(settings), _home(), _binary()]
    servers = given_servers(settings)
    if servers is None:
        running = read(settings)
        if running is None:
            findings.append(
                Finding(
                    "servers",
                    "ok",
                    "MD_REDIS_URL and ORDERS_REDIS_URL are not set and nothing runs: "
                    "`backbone demo` and `backbone up` start servers of their own",
                )
            )
            return findings
        servers = running.servers
    # Of what runs under another name nothing follows for these keys.
    number = number if servers.account == settings.account else ""
    return findings + await _servers(servers, shared, AccountRead(number, settings.trading))


async def _keys(settings: AlpacaSettings) -> tuple[Finding, str]:
    """Check that keys are set, and, where they are, that Alpaca takes them.

    The text is the number of their account, "" where that is not known.
    """
    if not has_keys(settings):
        one = (settings.alpaca_api_key is None) != (settings.alpaca_secret_key is None)
        if one:
            sentence = "only one of ALPACA_API_KEY and ALPACA_SECRET_KEY is set: set both"
            return Finding("keys", "problem", sentence), ""
        return rules.keys(present=False, trading=settings.trading), ""
    url = settings.trading_api_url
    try:
        code, body = await ask(settings, "/v2/account")
    except NoAnswer as error:
        return Finding("keys", "problem", f"set, but {url} does not answer ({error}): check the network"), ""
    if code in (401, 403):
        sentence = f"{url} refuses them: check both, and that they are {settings.trading} keys"
        return Finding("keys", "problem", sentence), ""
    number = _number(body) if code == 200 else ""
    if not number:
        sentence = f"set, but {url} answered {code} and no account: try again later"
        return Finding("keys", "warning", sentence), ""
    return rules.keys(present=True, trading=settings.trading), number


def _number(body: bytes) -> str:
    """The account's number in Alpaca's answer; "" where it cannot be read."""
    try:
        return read_account(orjson.loads(body)).number
    except (Unreadable, orjson.JSONDecodeError):
        return ""


def _home() -> Finding:
    try:
        directory = home()
    except InvalidInput as error:
        return Finding("directory", "problem", str(error))
    if not os.access(directory, os.W_OK | os.X_OK):
        return Finding(
            "directory", "problem", f"{directory} may not be written: set BACKBONE_HOME to another"
        )
    if directory.stat().st_mode & 0o077:
        return Finding("directory", "warning", f"others may look into {directory}: chmod 700 it")
    return Finding("directory", "ok", f"{directory} is ours and may be written")


def _binary() -> Finding:
    try:
        return Finding("embedded server", "ok", f"{server_binary()} can be started")
    except InvalidInput as error:
        return Finding("embedded server", "warning", str(error))


async def _servers(servers: Servers, shared: bool, keys: AccountRead) -> list[Finding]:
    """What is found on each server, and, where both answer, on both together."""
    findings: list[Finding] = []
    identities: list[str | None] = []
    beats: Sequence[Found] = ()
    async with (
        aclosing(connect(servers.market, name="ops-doctor")) as market,
        aclosing(connect(servers.orders, name="ops-doctor")) as orders,
    ):
        for role, url, client in (("market", servers.market, market), ("orders", servers.orders, orders)):
            name = f"{role} server"
            try:
                info = await client.info("server")
                identities.append(info["run_id"])
                findings.append(rules.version(name, str(info["redis_version"])))
                findings += await _server(client, role)
                if client is orders:
                    of_trading, beats = await _trading(client, servers.account, keys)
                    findings += of_trading
            except (ServerAway, ServerRefused) as error:
                identities.append(None)
                sentence = f"{shown(url)} does not answer ({error}): start it or correct the address"
                findings.append(Finding(name, "problem", sentence))
        if None not in identities:
            findings += await _market_data(market, beats)
            findings.append(rules.sharing(identities[0] == identities[1], shared))
    return findings


async def _market_data(market: Client, beats: Sequence[Found]) -> list[Finding]:
    try:
        found = await retention_finding(market, beats, time.time_ns())
    except InvalidInput as error:
        found = Finding(retention_rules.CHECK, "problem", str(error))
    except (ServerAway, ServerRefused) as error:
        found = Finding(retention_rules.CHECK, "warning", f"not known: {error}")
    return [found] if found is not None else []


async def _server(client: Client, role: str) -> list[Finding]:
    config = await _config(client)
    before_ns = time.time_ns()
    seconds, microseconds = await client.time()
    middle_ns = (before_ns + time.time_ns()) // 2
    offset_ms = ((seconds * 1_000_000 + microseconds) * 1000 - middle_ns) / 1e6
    found = [
        rules.durability(f"{role} server's durability", role, config),
        rules.eviction(f"{role} server's memory", role, config),
        rules.clock(f"{role} server's clock", offset_ms),
    ]
    return [finding for finding in found if finding is not None]


def _limits(beats: Sequence[Found], registered: Sequence[str]) -> Finding:
    """Check names in the limits in force, or without an OMS in the file that the next one would read."""
    oms = leading_oms(beats)
    if oms is not None and oms[1] is not None:
        return rules.limits(oms[1].limits_unmatched, "the limits in force", oms[1].limits_differ)
    try:
        path = load(OmsSettings).oms_limits
        return rules.limits(unmatched(read_limits(path), registered, ()), f"the limits of {path}")
    except InvalidInput as error:
        return Finding("limits", "problem", str(error))


async def _config(client: Client) -> dict[str, str]:
    try:
        raw: dict[Any, Any] = await client.config_get(*_CONFIG)
    except ServerRefused:
        # Managed servers forbid CONFIG.
        return {}
    return {_text(name): _text(value) for name, value in raw.items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


async def _trading(client: Client, account: str, keys: AccountRead) -> tuple[list[Finding], Sequence[Found]]:
    """What is found of trading, and the heartbeats that it was judged by."""
    state = await halt.read(client)
    journal, messages = (
        await client.xlen(streams.journal(account)),
        await client.xlen(streams.account(account)),
    )
    names = sorted(name.decode() for name in await client.hkeys(streams.algorithms(account)))
    leases = [
        streams.oms_lease(account),
        streams.account_lease(account),
        *(streams.algorithm_lease(account, name) for name in names),
    ]
    values = await client.mget(leases)
    holders = {key: value.decode() for key, value in zip(leases, values, strict=True) if value is not None}
    beats = await read_heartbeats(client, account)
    archived = await archive_finding(client, account, load(AlpacaSettings))
    findings = [
        rules.account(account, await pinned_account(client, account), keys),
        rules.halts(state.known, shown_halts(state), empty=not journal and not messages),
        _limits(beats, names),
        rules.leases(holders, beats),
        rules.heartbeats(beats),
        *spools(beats),
        *([] if archived is None else [archived]),
    ]
    return findings, beats
