"""Starts the simulator, waits for its addresses, and asks its control endpoint."""

import asyncio
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec

from bus.errors import InvalidInput, ServerUnreachable
from ops.run.differences import Ledger, read_ledger
from ops.run.supervise import ChildFailed, Spec, Supervisor, python

NAME = "sim"
START_WITHIN_S = 20.0
_POLL_S = 0.01
_ANSWER_WITHIN_S = 5.0


class Addresses(msgspec.Struct, frozen=True):
    """Where the simulator listens, and its keys: the first line that it prints."""

    trading_url: str
    trading_stream_url: str
    data_url: str
    market_stream_url: str
    control_url: str
    key: str
    secret: str

    def __repr__(self) -> str:
        return f"<simulator at {self.trading_url}>"

    def environment(self) -> dict[str, str]:
        """Return the variables by which ingest and the OMS use it in Alpaca's place."""
        return {
            "ALPACA_API_KEY": self.key,
            "ALPACA_SECRET_KEY": self.secret,
            "BACKBONE_TRADING": "paper",
            "BACKBONE_TRADING_URL": self.trading_url,
            "BACKBONE_TRADING_STREAM_URL": self.trading_stream_url,
            "BACKBONE_DATA_URL": self.data_url,
            "BACKBONE_MARKET_STREAM_URL": self.market_stream_url,
        }


def spec(arguments: Sequence[str], environment: Mapping[str, str], directory: Path) -> Spec:
    """Say how to start it. Keys go through the environment; a restart keeps keys and ports."""
    keys = {
        "SIM_API_KEY": "PK" + secrets.token_hex(9).upper(),
        "SIM_SECRET_KEY": secrets.token_urlsafe(30),
    }
    ports: list[str] = []
    output = directory / f"{NAME}.out"

    def start() -> subprocess.Popen[bytes]:
        if not ports and output.exists():
            ports.extend(_ports(read_addresses(output)))
        command = ["-m", "sim", "--json", *arguments, *ports]
        return python(NAME, command, {**environment, **keys}, directory).start()

    return Spec(NAME, start, directory / f"{NAME}.log")


async def ready(supervisor: Supervisor, directory: Path) -> Addresses:
    """Wait until it listens and return its addresses. Raises InvalidInput as the simulator words it."""
    child = supervisor.children[NAME]
    deadline = asyncio.get_running_loop().time() + START_WITHIN_S
    while True:
        found = read_addresses(directory / f"{NAME}.out")
        if found is not None:
            return found
        try:
            supervisor.look_after(child)
        except ChildFailed as failure:
            raise InvalidInput(str(failure)) if failure.exit_code == 2 else failure from None
        if asyncio.get_running_loop().time() > deadline:
            raise ServerUnreachable(f"the simulator did not say where it listens in {START_WITHIN_S:.0f} s")
        await asyncio.sleep(_POLL_S)


def read_addresses(output: Path) -> Addresses | None:
    """Read the first line of its output; None while it is not whole."""
    text = output.read_bytes() if output.exists() else b""
    line, newline, _ = text.partition(b"\n")
    return msgspec.json.decode(line, type=Addresses) if newline else None


class Control:
    """Asks the simulator's control endpoint."""

    def __init__(self, addresses: Addresses) -> None:
        self._url = addresses.control_url
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S))

    async def ledger(self) -> Ledger:
        """Read every order and execution. Raises ServerUnreachable where it does not answer."""
        return read_ledger(await self._get("/ledger"))

    async def tape_finished(self) -> bool:
        """Whether recorded data have been played to their end."""
        state = msgspec.json.decode(await self._get("/state"))
        return bool(state["tape_finished"])

    async def fault(self, name: str, **fields: object) -> None:
        """Turn a fault on. Raises ServerUnreachable where it does not answer."""
        await self._change("POST", {"fault": name, **fields})

    async def clear_faults(self) -> None:
        """Turn all faults off. Raises ServerUnreachable where it does not answer."""
        await self._change("DELETE", None)

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()

    async def _change(self, method: str, body: dict[str, object] | None) -> None:
        url = f"{self._url}/faults"
        try:
            async with self._session.request(method, url, json=body) as response:
                if response.status != 200:
                    raise InvalidInput(f"the simulator: {await response.text()}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServerUnreachable(f"the simulator does not answer at {url}: {error}") from error

    async def _get(self, path: str) -> bytes:
        try:
            async with self._session.get(f"{self._url}{path}") as response:
                return await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServerUnreachable(f"the simulator does not answer at {self._url}{path}: {error}") from error


def _ports(addresses: Addresses | None) -> list[str]:
    if addresses is None:
        return []
    trading, control = (url.rpartition(":")[2] for url in (addresses.trading_url, addresses.control_url))
    return ["--port", trading, "--control-port", control]
