"""A server that plays a dialogue and insists on the client's lines (`scripted.dialogue` has the language).

    async with ScriptedServer(script) as server:
        ...  # dial server.host, server.port

Leaving the block waits until every dialogue was played to its end and raises AssertionError with the whole
conversation if the client wrote something else, closed too early, or opened a connection too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from typing import Self

from scripted.certificates import Certificate, the_certificate
from scripted.dialogue import Act, Line, octets, parse
from scripted.leaving import caught_up, leave

PATIENCE = 10.0  # seconds for the client's next line, and for the end of a dialogue


class Deviation(AssertionError):
    """The client did not follow the script."""


class ScriptedServer:
    """Plays one dialogue per connection, in order.

    Attributes:
        host, port: where it listens.
        contents: what `@content` read, unstuffed, in order.
        connections: how many were accepted.
        heard: every byte the client wrote, decrypted, all connections together.
        dropped: set once a `@drop` or `@rst` was played.
    """

    def __init__(
        self,
        script: str,
        *,
        certificate: Certificate | None = None,
        certificates: dict[str, Certificate] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        receive_buffer: int = 0,
        patience: float = PATIENCE,
    ) -> None:
        self._dialogues = parse(script)
        self._certificates = {"": certificate or the_certificate(), **(certificates or {})}
        self._receive_buffer = receive_buffer
        self._patience = patience
        self._tasks: list[asyncio.Task[None]] = []
        self._errors: list[str] = []
        self.host = host
        self.port = port
        self.contents: list[bytes] = []
        self.connections = 0
        self.heard = bytearray()
        self.dropped = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, sock=self._listening())
        return self

    def _listening(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        listener.bind((self.host, self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        return listener

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        await caught_up()
        if kind is None and not self._errors:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._played()
        unplayed = len(self._dialogues) - self.connections
        self._errors += ["a dialogue was not played to its end" for task in self._tasks if not task.done()]
        await leave(self._server, self._tasks)
        if self._errors:
            raise Deviation("\n\n".join(self._errors))
        if unplayed > 0 and kind is None:
            raise Deviation(f"{unplayed} of {len(self._dialogues)} expected connections were never opened")

    async def _played(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        self.connections += 1
        if self.connections > len(self._dialogues):
            self._errors.append(f"connection {self.connections} was not expected")
            writer.transport.abort()
            return
        play = _Play(self, reader, writer)
        try:
            await play.all(self._dialogues[self.connections - 1])
        except Deviation as deviation:
            self._errors.append(str(deviation))
        finally:
            writer.transport.abort()

    def context(self, name: str) -> ssl.SSLContext:
        """The server-side context of the named certificate."""
        return self._certificates[name].context()

    @property
    def patience(self) -> float:
        """Seconds for the client's next line."""
        return self._patience


class _Play:
    """One connection's dialogue."""

    def __init__(
        self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._pause = 0.0
        self._record: list[str] = []

    async def all(self, dialogue: list[Line]) -> None:
        for line in dialogue:
            await self._step(line)
            self._record.append(f"  {line}")

    async def _step(self, line: Line) -> None:
        match line.act:
            case Act.SAY:
                await self._write(octets(line.text) + b"\r\n")
            case Act.SAY_RAW:
                await self._write(octets(line.text))
            case Act.ALERT:
                await self._write(b"\x15\x03\x01\x00\x02\x02\x28")
            case Act.ENDLESS:
                await self._endless(octets(line.text) + b"\r\n")
            case Act.DRIP:
                self._pause = float(line.text)
            case Act.DELAY | Act.STALL:
                await asyncio.sleep(float(line.text))
            case Act.TLS:
                await self._tls(line)
            case _:
                await self._listen_or_leave(line)

    async def _listen_or_leave(self, line: Line) -> None:
        match line.act:
            case Act.HEAR | Act.HEAR_LIKE:
                await self._hear(line)
            case Act.CONTENT:
                await self._content(line)
            case Act.READ:
                await self._take(self._reader.readexactly(int(line.text)), line)
            case Act.QUIET:
                await self._quiet(line)
            case Act.DROP:
                await self._drop()
            case Act.RESET:
                self._reset()
            case Act.CLOSE:
                await self._closed(line)
            case Act.SILENCE:
                await self._until_gone()

    async def _write(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            if not self._pause:
                self._writer.write(data)
                await self._writer.drain()
                return
            for octet in data:
                self._writer.write(bytes([octet]))
                await self._writer.drain()
                await asyncio.sleep(self._pause)

    async def _take(self, reading, line: Line) -> bytes:
        try:
            async with asyncio.timeout(self._server.patience):
                data = await reading
        except TimeoutError:
            raise self._deviation(line, "the client wrote nothing") from None
        except asyncio.IncompleteReadError as short:
            self._server.heard += short.partial
            raise self._deviation(line, f"the client closed after {short.partial!r}") from None
        except (ConnectionError, ssl.SSLError) as lost:
            raise self._deviation(line, f"the connection broke: {lost!r}") from None
        self._server.heard += data
        return data

    async def _hear(self, line: Line) -> None:
        got = await self._take(self._reader.readuntil(b"\n"), line)
        if not got.endswith(b"\r\n") or b"\r" in got[:-2]:
            raise self._deviation(line, f"not ended by CRLF: {got!r}")
        text = got[:-2]
        if line.act is Act.HEAR:
            agrees = text == octets(line.text)
        else:
            agrees = re.fullmatch(line.text.encode(), text) is not None
        if not agrees:
            raise self._deviation(line, text.decode("utf-8", "backslashreplace"))

    async def _content(self, line: Line) -> None:
        lines: list[bytes] = []
        while (got := await self._take(self._reader.readuntil(b"\r\n"), line)) != b".\r\n":
            if b"\n" in got[:-2] or b"\r" in got[:-2]:
                raise self._deviation(line, f"bare CR or LF in the content: {got!r}")
            lines.append(got.removeprefix(b"."))
        self._server.contents.append(b"".join(lines))

    async def _tls(self, line: Line) -> None:
        try:
            async with asyncio.timeout(self._server.patience):
                await self._writer.start_tls(self._server.context(line.text))
        except (OSError, ssl.SSLError) as error:
            # A client that refuses our certificate ends here, and so does its dialogue.
            self._record.append(f"  ({error!r})")
            self._writer.transport.abort()

    async def _drop(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            await self._writer.drain()
        self._writer.close()
        self._server.dropped.set()

    def _reset(self) -> None:
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        self._server.dropped.set()

    async def _quiet(self, line: Line) -> None:
        try:
            async with asyncio.timeout(float(line.text)):
                got = await self._reader.read(1)
        except TimeoutError:
            return
        self._server.heard += got
        raise self._deviation(line, f"the client wrote {got!r}, or closed")

    async def _endless(self, data: bytes) -> None:
        async with asyncio.timeout(self._server.patience):
            while not self._writer.transport.is_closing():
                with contextlib.suppress(ConnectionError):
                    self._writer.write(data * 100)
                    await self._writer.drain()
                await asyncio.sleep(0)

    async def _closed(self, line: Line) -> None:
        got = await self._until_gone()
        if got and line.text != "any":
            raise self._deviation(line, got.decode("utf-8", "backslashreplace"))

    async def _until_gone(self) -> bytes:
        got = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(self._server.patience):
                while data := await self._reader.read(65536):
                    got += data
        self._server.heard += got
        return got

    def _deviation(self, line: Line, instead: str) -> Deviation:
        played = "\n".join(self._record)
        return Deviation(f"{played}\n- {line}\n+ {instead}")
