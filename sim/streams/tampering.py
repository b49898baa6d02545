"""What a fault does to one connection at once: cut it, break off in a frame, send what nobody expects."""

from typing import Any, Protocol

from aiohttp import web

from sim.streams.codecs import Codec
from sim.streams.outgoing import Outgoing
from sim.streams.raw_frames import half_a_frame

MIB = 1024 * 1024
FILLER = "x"


class Connection(Protocol):
    """One client of a stream; `tell` sends it a control message in its stream's form."""

    request: web.Request
    codec: Codec
    outgoing: Outgoing
    owner: str | None

    def abort(self) -> None:
        """Cut the connection without a close frame."""

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message."""


def cut(connection: Connection, fault: dict[str, Any]) -> None:
    """End it without a close frame."""
    connection.abort()


def drop_mid_frame(connection: Connection, fault: dict[str, Any]) -> None:
    """Send the first half of a frame, and end the connection there."""
    transport = connection.request.transport
    if transport is None:
        return
    body = connection.codec.control(_unheard_of(fault, FILLER * 1000))
    transport.write(half_a_frame(body, connection.outgoing.is_binary))
    transport.close()


def send_huge_frame(connection: Connection, fault: dict[str, Any]) -> None:
    """Send one frame of so many MiB; what is in it nobody needs."""
    connection.tell(_unheard_of(fault, FILLER * int(fault["mib"] * MIB)))


def send_unknown(connection: Connection, fault: dict[str, Any]) -> None:
    """Send a message of a kind that is not in Alpaca's documents."""
    connection.tell(_unheard_of(fault, FILLER))


def end_as_slow(connection: Connection, fault: dict[str, Any]) -> None:
    """Say that the client is too slow, where the stream has words for it, and close with 1008."""
    words = {"T": "error", "code": 407, "msg": "slow client"}
    is_market = fault["stream"] != "trade_updates"
    connection.outgoing.finish(connection.codec.control([words]) if is_market else None)


def _unheard_of(fault: dict[str, Any], text: str) -> dict[str, Any]:
    if fault["stream"] == "trade_updates":
        return {"stream": "order_insights", "data": {"text": text}}
    return {"T": "zz", "S": "AAPL", "text": text}
