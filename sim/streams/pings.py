"""Answers the pings of clients, unless a fault forbids it."""

from aiohttp import WSMessage, WSMsgType, web

from sim.faults.faults import Faults


async def answer_ping(
    socket: web.WebSocketResponse, message: WSMessage, faults: Faults, stream: str, account: str | None
) -> None:
    """Send the pong of a ping; other messages are ignored."""
    if message.type is WSMsgType.PING and not faults.strike("no_pong", stream=stream, account=account):
        await socket.pong(message.data)
