"""A web server of the tests: a real socket that answers with what it is given, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import Self

from scripted.leaving import leave

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class WebServer:
    """Answers request after request from `answers`, the last of them again and again.

    Attributes:
        requests: each as (head, body), in order.
        names: what each TLS client asked for (SNI).
    """

    def __init__(
        self, *answers: bytes, tls: ssl.SSLContext | None = None, delay: float = 0.0, keep_open: bool = False
    ) -> None:
        self.answers = list(answers) or [ACCEPTED]
        self.delay = delay
        self.keep_open = keep_open
        self.requests: list[tuple[str, bytes]] = []
        self.names: list[str | None] = []
        self._tls = tls
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        if tls is not None:
            tls.sni_callback = lambda _, name, __: self.names.append(name)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await leave(self._server, self._tasks)

    @property
    def bodies(self) -> list[dict]:
        """What was posted, as JSON."""
        return [json.loads(body) for _, body in self.requests]

    async def arrived(self, count: int, within: float = 5.0) -> list[dict]:
        """The bodies, once there are that many."""
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.bodies

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        async with self._arrived:
            self.requests.append((head, body))
            self._arrived.notify_all()
        await asyncio.sleep(self.delay)
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        await writer.drain()
        if self.keep_open:
            await reader.read()
        else:
            writer.write_eof() if writer.can_write_eof() else writer.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await reader.read()
