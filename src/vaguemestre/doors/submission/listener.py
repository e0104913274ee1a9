"""The submission process: binds, serves, drains (RFC 6409, RFC 8314).

Promises: it never relays for strangers. Every peer signs in, but for those of the networks in
`VAGUEMESTRE_SUBMISSION_TRUST`, and it refuses to start with a trusted network outside the private ranges. On
SIGTERM or SIGINT it stops accepting, says 421 to the idle and lets content that is under way finish; on
SIGHUP it looks whether its certificate has changed.
Fails by leaving with one sentence: an address in use, a certificate that cannot be read, a database that does
not keep what it commits (L5).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import structlog
import uvloop

from vaguemestre.doors.submission.certificate import Certificate
from vaguemestre.doors.submission.handshakes import TlsServer
from vaguemestre.doors.submission.house import House
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.session import Session
from vaguemestre.doors.submission.terms import Terms, dead_end
from vaguemestre.environment import Bind, Environment, is_private
from vaguemestre.ledger.database import durability_problems
from vaguemestre.ledger.hops import ehlo_name
from vaguemestre.ledger.threads import LedgerThreads

log = structlog.get_logger("vaguemestre.submission")

BACKLOG = 512  # sockets that wait to be accepted
WORKERS = 4  # threads that commit at a time on PostgreSQL; SQLite has one writer
CLOCK = partial(datetime.now, UTC)  # Django's asks its settings first
GRACE = 20.0  # seconds for content that is under way when the listener stops


class Listener:
    """What `serve` started."""

    def __init__(self, servers: Sequence[asyncio.Server | TlsServer], house: House) -> None:
        self._servers = servers
        self._house = house

    @property
    def addresses(self) -> list[Bind]:
        """Where it listens, in the order of the binds; a port 0 is shown as the one that was given."""
        names = [socket.getsockname() for server in self._servers for socket in server.sockets]
        return [Bind(name[0], name[1]) for name in names]

    async def drain(self, grace: float = GRACE) -> None:
        """Stop accepting, dismiss the idle, wait for the rest, end what lasts longer than `grace` seconds."""
        for server in self._servers:
            server.close()
        self._house.draining = True
        for guest in tuple(self._house.guests):
            guest.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._house.empty.wait(), grace)
        for guest in tuple(self._house.guests):
            guest.abort()
        await asyncio.sleep(0)  # for the transports to say that they are closed

    def __repr__(self) -> str:
        return f"<Listener {', '.join(map(str, self.addresses))}>"


async def serve(
    binds: Sequence[Bind],
    terms: Terms,
    threads: LedgerThreads,
    *,
    tls_binds: Sequence[Bind] = (),
    clock: Callable[[], datetime] = CLOCK,
) -> Listener:
    """Listen on `binds`, and on `tls_binds` with TLS from the first byte.

    Raises:
        OSError: an address that cannot be bound.
    """
    house = House(terms, threads, clock)
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server | TlsServer] = [
        await loop.create_server(partial(Session, house), bind.host, bind.port, backlog=BACKLOG)
        for bind in binds
    ]
    if terms.tls is not None:
        servers += [TlsServer(house, bind, terms.tls, BACKLOG) for bind in tls_binds]
    return Listener(servers, house)


def run(environment: Environment, ready: Callable[[], None] = lambda: None) -> None:
    """The `submission` process, until SIGTERM; `ready` is called once it listens.

    Raises:
        SystemExit: with the reason, where it cannot start.
    """
    terms = terms_of(environment)
    problems = durability_problems()
    if problems:
        raise SystemExit("\n".join(problems))
    warn(environment)
    threads = LedgerThreads(1 if environment.on_sqlite else WORKERS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_until_told(environment, terms, threads, ready))
    finally:
        threads.shutdown()


def terms_of(environment: Environment) -> Terms:
    """The terms that the environment sets.

    Raises:
        SystemExit: an open relay, or a certificate that cannot be used.
    """
    if not all(map(is_private, environment.submission_trust)):
        raise SystemExit("VAGUEMESTRE_SUBMISSION_TRUST: only private networks may submit without signing in.")
    certificate = None
    if environment.submission_certificate is not None:
        certificate = Certificate(environment.submission_certificate, environment.submission_key)
    elif environment.submission_tls_bind is not None:
        raise SystemExit("VAGUEMESTRE_SUBMISSION_TLS_BIND needs VAGUEMESTRE_SUBMISSION_CERTIFICATE.")
    limits = Limits(message=environment.max_message_bytes)
    tls = None if certificate is None else certificate.context
    return Terms(ehlo_name(), limits, environment.submission_trust, tls)


def warn(environment: Environment) -> None:
    """Tell an operator whose submitters on other machines could not hand over anything."""
    hint = dead_end(environment)
    if hint is not None:
        log.warning("submission_without_certificate", bind=str(environment.submission_bind), hint=hint)


async def _serve_until_told(
    environment: Environment, terms: Terms, threads: LedgerThreads, ready: Callable[[], None]
) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, terms.tls or (lambda: None))
    tls_binds = () if environment.submission_tls_bind is None else (environment.submission_tls_bind,)
    try:
        listener = await serve((environment.submission_bind,), terms, threads, tls_binds=tls_binds)
    except OSError as error:
        raise SystemExit(f"The submission listener cannot start: {error.strerror or error}.") from None
    log.info("submission_listening", at=[str(bind) for bind in listener.addresses])
    ready()
    await told.wait()
    log.info("submission_stopping")
    await listener.drain()
