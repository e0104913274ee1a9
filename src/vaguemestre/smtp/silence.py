"""A server that says nothing: whether it waits for TLS, which a port may want at once (RFC 8314 §3).

Who waits for a greeting cannot tell such a port from a slow server: each side waits for the other. So, where
somebody waits for the answer (`Timeouts.silence`), a second link to the same address is offered TLS, while
the first goes on waiting. Nothing is written there but the handshake; the guard is asked as on every dial.

Not on port 25: nobody wants TLS at once there, and some of its servers hold back their greeting to catch
those who speak first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

from vaguemestre.egress import NotPermitted
from vaguemestre.mail.phase import Cause
from vaguemestre.smtp.network import DialFailed, TlsFailed
from vaguemestre.smtp.session import Session

_GREETS_FIRST = 25


@dataclass
class Silence:
    """What is known of it.

    Attributes:
        awaits_tls: whether TLS was spoken on the second link; the first is closed then.
    """

    awaits_tls: bool = False


@contextlib.asynccontextmanager
async def interpreted(session: Session) -> AsyncIterator[Silence]:
    """While a greeting is waited for: where none comes and TLS is wanted, the link is closed at once."""
    found = Silence()
    if session.tls is not None or session.hop.port == _GREETS_FIRST or session.timeouts.silence == math.inf:
        yield found
        return
    asked = asyncio.create_task(_ask(session, found))
    try:
        yield found
    finally:
        asked.cancel()


async def _ask(session: Session, found: Silence) -> None:
    hop, network, timeouts = session.hop, session.network, session.timeouts
    await asyncio.sleep(timeouts.silence)
    if session.stale:
        return  # it has begun to speak
    try:
        address = ipaddress.ip_address(session.peer)
        link = await network.dial((address,), hop.port, source=hop.source_address, within=timeouts.connect)
        async with asyncio.timeout(timeouts.tls):
            await network.read_certificate(link, hop.host)
    except (DialFailed, NotPermitted, TimeoutError):
        return
    except TlsFailed as failed:
        if failed.cause is not Cause.TLS_TOO_OLD:
            return
    if not session.stale:
        found.awaits_tls = True
        session.link.abort()
