"""The door with TLS from the first byte (RFC 8314 §3): accepts sockets and shakes hands.

The event loop's own TLS server knows one certificate for ever, and tells of a socket only behind the
handshake: nobody counts half-open ones. Here each handshake has the certificate of its moment, and counts as
a session from the start.

Fails by closing the socket: who waits for a handshake cannot be told.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog

from vaguemestre.doors.submission import troubles
from vaguemestre.doors.submission.house import House
from vaguemestre.doors.submission.session import Session
from vaguemestre.doors.submission.terms import Peer
from vaguemestre.environment import Bind

log = structlog.get_logger("vaguemestre.submission")

AT_ONCE = 64  # sockets that are accepted before anything else has its turn
REST = 0.5  # seconds without accepting where no descriptor is free


class TlsServer:
    """A listening socket and its handshakes.

    Raises:
        OSError: an address that cannot be bound.
    """

    def __init__(
        self, house: House, bind: Bind, certificate: Callable[[], ssl.SSLContext], backlog: int
    ) -> None:
        self._house = house
        self._certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._shaking: set[asyncio.Task[None]] = set()
        family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
        self._plug = socket.create_server((bind.host, bind.port), family=family, backlog=backlog)
        self._plug.setblocking(False)
        self._loop.add_reader(self._plug, self._accept)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening ones."""
        return (self._plug,)

    def close(self) -> None:
        """Accept no more; handshakes that are under way end as the house says. Twice is as once."""
        if self._plug.fileno() >= 0:
            self._loop.remove_reader(self._plug)
            self._plug.close()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                plug, address = self._plug.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("accepting_failed", error=error.strerror)
                self._loop.remove_reader(self._plug)
                self._loop.call_later(REST, self._accept_again)
                return
            self._begin(plug, Peer.at(address[0]))

    def _accept_again(self) -> None:
        if self._plug.fileno() >= 0:
            self._loop.add_reader(self._plug, self._accept)

    def _begin(self, plug: socket.socket, peer: Peer) -> None:
        handshake = Handshake(plug)
        refused = self._house.admit(handshake, peer)
        if refused is not None:
            log.warning("session_refused", peer=str(peer), code=refused.code, reason=refused.lines[0])
            plug.close()
            return
        plug.setblocking(False)
        task = self._loop.create_task(self._shake_hands(handshake, peer))
        self._shaking.add(task)
        task.add_done_callback(self._shaking.discard)

    async def _shake_hands(self, handshake: Handshake, peer: Peer) -> None:
        leave = partial(self._house.leave, handshake, peer)
        try:
            await self._loop.connect_accepted_socket(
                partial(Session, self._house, secured=leave),
                handshake.plug,
                ssl=self._certificate(),
                ssl_handshake_timeout=self._house.terms.limits.handshake,
            )
        except (OSError, EOFError) as error:
            reason = troubles.of_tls(error)
            log.info("tls_failed", peer=str(peer), error=type(error).__name__, reason=reason)
            handshake.plug.close()
        finally:
            leave()


class Handshake:
    """A `Guest` that is no session yet."""

    def __init__(self, plug: socket.socket) -> None:
        self.plug = plug

    def drain(self) -> None:
        """It has said nothing that could be finished."""
        self.abort()

    def abort(self) -> None:
        """See `Guest`."""
        with suppress(OSError):  # closed here already, or reset by the other side a moment ago
            self.plug.shutdown(socket.SHUT_RDWR)
