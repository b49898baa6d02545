"""A byte-level proxy before a real server: it loses requests and replies, stalls, cuts and refuses."""

import asyncio
from types import TracebackType
from urllib.parse import urlsplit

import hiredis

# What a server that is loading or without its cluster answers all the same.
_ANSWERED_ALL_THE_SAME = (b"HELLO", b"AUTH", b"SELECT", b"CLIENT", b"INFO")


class _Fault:
    """What to do with the next requests that contain a pattern."""

    def __init__(self, pattern: bytes, times: int, *, after_the_server: bool) -> None:
        self.pattern = pattern
        self.times = times
        self.after_the_server = after_the_server


class _Pair:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.reply_is_lost = False
        self.half_open = False
        self.commands = hiredis.Reader()

    def cut(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """`url` leads through it to the server at `upstream`, a `unix://` address."""

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.accepted = 0
        self.requests: list[bytes] = []
        self._upstream = urlsplit(upstream).path
        self._faults: list[_Fault] = []
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._answer = b""
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> "Proxy":
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.flow()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._listener.wait_closed()

    def lose_reply(self, pattern: bytes, times: int = 1) -> None:
        """The server carries the next such request out; its reply is lost and the connection cut."""
        self._faults.append(_Fault(pattern, times, after_the_server=True))

    def lose_request(self, pattern: bytes, times: int = 1) -> None:
        """The next such request never reaches the server, and the connection is cut."""
        self._faults.append(_Fault(pattern, times, after_the_server=False))

    def lead_to(self, upstream: str) -> None:
        """Let new connections go to another server; those that are open stay, as after a failover."""
        self._upstream = urlsplit(upstream).path

    def cut(self) -> None:
        """Cut every connection now."""
        for pair in self._pairs:
            pair.cut()

    def cut_unnoticed(self) -> None:
        """Cut the clients off; the server keeps its ends and notices nothing."""
        for pair in self._pairs:
            pair.half_open = True
            pair.client.transport.abort()

    def stall(self) -> None:
        """Hold back every reply from now on."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let replies pass again."""
        self._flowing.set()

    def refuse(self, refusing: bool = True) -> None:
        """Close new connections at once, and cut the old ones."""
        self._refusing = refusing
        if refusing:
            self.cut()

    def answer(self, error: str) -> None:
        """Answer every command from now on with this error, in the server's place; "" lets them pass again.

        At the first, connections are cut: the server's answers to earlier commands would come behind ours.
        """
        self._answer = error.encode()
        if error:
            self.cut()

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._pairs)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        from_server, to_server = await asyncio.open_unix_connection(self._upstream)
        pair = _Pair(writer, to_server)
        self._pairs.add(pair)
        replies = asyncio.create_task(self._carry_replies(pair, from_server))
        try:
            await self._carry_requests(pair, reader)
        except OSError:
            pass  # Cut, by us or by one of the two ends.
        finally:
            if not pair.half_open:
                pair.cut()
            await asyncio.wait({replies})
            self._pairs.discard(pair)
            self._tasks.discard(task)

    async def _carry_requests(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self.requests.append(data)
            fault = next((one for one in self._faults if one.pattern in data and one.times), None)
            if fault is not None:
                fault.times -= 1
                if not fault.after_the_server:
                    return
                pair.reply_is_lost = True
            pair.server.write(self._passing(pair, data) if self._answer else data)
            await pair.server.drain()

    def _passing(self, pair: _Pair, data: bytes) -> bytes:
        """The commands that reach the server; the others are answered."""
        pair.commands.feed(data)
        passing = b""
        while (command := pair.commands.gets()) is not False:
            if command[0].upper() in _ANSWERED_ALL_THE_SAME:
                passing += hiredis.pack_command(tuple(command))
            else:
                pair.client.write(b"-%s\r\n" % self._answer)
        return passing

    async def _carry_replies(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(65536):
                if pair.reply_is_lost:
                    break
                await self._flowing.wait()
                if not pair.half_open:
                    pair.client.write(data)
                    await pair.client.drain()
        except OSError:
            pass  # As above.
        finally:
            pair.cut()
