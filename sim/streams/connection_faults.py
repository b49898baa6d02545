"""The effects of faults on one connection: cut it, break off a frame, send what is not expected."""

from typing import Any

from sim.streams.raw_frames import half_a_frame
from sim.streams.reader import Reader

MIB = 1024 * 1024
FILLER = "x"


def cut(reader: Reader, fault: dict[str, Any]) -> None:
    """End it without a close frame."""
    reader.abort()


def end_as_slow(reader: Reader, fault: dict[str, Any]) -> None:
    """Send the error of a slow client, where the stream has one, and close with 1008."""
    reader.end_as_slow()


def drop_mid_frame(reader: Reader, fault: dict[str, Any]) -> None:
    """Send the first half of a frame, and end the connection there."""
    transport = reader.request.transport
    if transport is None:
        return
    body = reader.codec.control(_unheard_of(fault, FILLER * 1000))
    transport.write(half_a_frame(body, reader.outgoing.is_binary))
    transport.close()


def send_huge_frame(reader: Reader, fault: dict[str, Any]) -> None:
    """Send one frame of so many MiB without useful content."""
    reader.tell(_unheard_of(fault, FILLER * int(fault["mib"] * MIB)))


def send_unknown(reader: Reader, fault: dict[str, Any]) -> None:
    """Send a message of a type that is not in Alpaca's documents."""
    reader.tell(_unheard_of(fault, FILLER))


def _unheard_of(fault: dict[str, Any], text: str) -> dict[str, Any]:
    if fault["stream"] == "trade_updates":
        return {"stream": "order_insights", "data": {"text": text}}
    return {"T": "zz", "S": "AAPL", "text": text}
