"""The network wall: resolve, dial, protect. The only module on the way out that touches sockets and TLS.

What it promises: nothing is dialled that the guard does not permit, and what is dialled is the very address
that was judged (L10). TLS is 1.2 or later; chain and name are always checked, against the system's
authorities and the operator's further ones; a pinned leaf replaces both checks, a pinned authority the
chain. Where a certificate is refused, its facts are read in a second handshake on a link that is then
closed with nothing written to it.

It fails with `DialFailed` and `TlsFailed`, which carry a `Cause`; deadlines are the caller's, except that
the addresses of one name share the time to connect. RFC 8314, RFC 3207, RFC 6125.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

from vaguemestre.egress import Guard, IPAddress, Lookup, NotPermitted, system_lookup
from vaguemestre.mail.phase import Cause
from vaguemestre.smtp.certificate import Certificate, Tls, leaf_pinned
from vaguemestre.smtp.link import Link
from vaguemestre.smtp.race import first_link

_SHUTDOWN = 1.0  # seconds to wait for the other side's close_notify
_HANDSHAKE = 3600.0  # asyncio's own limit, out of the way of the session's
_RECEIVED = 32_768  # octets that the system keeps of what a server sends: replies are short

# X509_V_ERR_*, openssl/x509_vfy.h
_VERIFY_CAUSES = {
    9: Cause.CERTIFICATE_NOT_YET_VALID,
    10: Cause.CERTIFICATE_EXPIRED,
    18: Cause.CERTIFICATE_SELF_SIGNED,
    2: Cause.CERTIFICATE_AUTHORITY,
    19: Cause.CERTIFICATE_AUTHORITY,
    20: Cause.CERTIFICATE_AUTHORITY,
    21: Cause.CERTIFICATE_AUTHORITY,
    62: Cause.CERTIFICATE_NAME,
    64: Cause.CERTIFICATE_NAME,
}
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
_TOO_OLD = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "VERSION_TOO_LOW",
        "NO_PROTOCOLS_AVAILABLE",
        "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED",
    }
)


@dataclass
class DialFailed(Exception):
    """No address could be reached; the cause that says most of those met."""

    cause: Cause


@dataclass
class TlsFailed(Exception):
    """No protected link.

    Attributes:
        cause: why.
        certificate: the server's, where it was seen.
        facts: more for people.
    """

    cause: Cause
    certificate: Certificate | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """How this process reaches servers.

    Attributes:
        guard: what may be dialled.
        lookup: finds the addresses of a name.
        roots: path of a PEM file with authorities besides the system's; "" for none.
        monotonic: seconds, for measuring.
    """

    guard: Guard
    lookup: Lookup = system_lookup
    roots: str = ""
    monotonic: Callable[[], float] = time.monotonic

    async def resolve(self, host: str, port: int) -> tuple[IPAddress, ...]:
        """See `Guard.resolve`."""
        return await self.guard.resolve(self.lookup, host, port)

    async def dial(
        self, addresses: tuple[IPAddress, ...], port: int, *, source: str = "", within: float
    ) -> Link:
        """A link to the first address that answers within so many seconds (see `race`).

        Raises:
            DialFailed: none answered.
            NotPermitted: the guard does not permit one of them.
        """
        if not all(self.guard.permits(address, port) for address in addresses):
            raise NotPermitted
        end = asyncio.get_running_loop().time() + within
        try:
            return await first_link([partial(_connect, address, port, source, end) for address in addresses])
        except ExceptionGroup as failed:
            causes = [_dial_cause(error) for error in failed.exceptions]
        raise DialFailed(min(causes, key=_TELLING.index))

    async def answers(self, address: IPAddress, port: int, *, within: float) -> Cause | None:
        """Whether an address takes a dial: None, or why it does not. The link is closed at once.

        Raises:
            NotPermitted: the guard does not permit it.
        """
        try:
            link = await self.dial((address,), port, within=within)
        except DialFailed as failed:
            return failed.cause
        link.abort()
        return None

    async def start_tls(self, link: Link, host: str, pin: str = "") -> Tls:
        """TLS on a link, with the server's certificate checked for `host`, a name or an address.

        Raises:
            TlsFailed: the link is closed then.
        """
        if link.waiting:
            # Clear text before our first octet of TLS: the server talks plainly.
            link.abort()
            raise TlsFailed(Cause.TLS_NOT_SPOKEN)
        leaf = leaf_pinned(pin)
        tls = await _handshake(link, _unchecked() if leaf else _context(self.roots, pin), host)
        if leaf and tls.certificate.fingerprint != leaf:
            presented = _presented(link.transport)
            link.abort()
            raise TlsFailed(Cause.CERTIFICATE_OTHER, presented, {"pinned": leaf})
        return tls

    async def read_certificate(self, link: Link, host: str) -> Certificate:
        """The server's certificate and its authority, unchecked, for showing them.

        The link is closed; nothing is written to it.

        Raises:
            TlsFailed: no handshake, no certificate.
        """
        try:
            await _handshake(link, _unchecked(), host)
            return _presented(link.transport)
        finally:
            link.abort()


# The cause that says most about what to do comes first.
_TELLING = (
    Cause.CONNECTION_REFUSED,
    Cause.LOST,
    Cause.TIMEOUT,
    Cause.SOURCE_ADDRESS,
    Cause.UNREACHABLE,
)


def _dial_cause(error: Exception) -> Cause:
    match error:
        case _SourceUnusable():
            return Cause.SOURCE_ADDRESS
        case ConnectionRefusedError():
            return Cause.CONNECTION_REFUSED
        case ConnectionResetError() | ConnectionAbortedError():
            return Cause.LOST
        case TimeoutError():
            return Cause.TIMEOUT
        case _:
            return Cause.UNREACHABLE


class _SourceUnusable(OSError):
    """The local address that was asked for is not this machine's, or of the other family."""


async def _connect(address: IPAddress, port: int, source: str, end: float) -> Link:
    local = None
    if source:
        if ipaddress.ip_address(source).version != address.version:
            raise _SourceUnusable
        local = (source, 0)
    try:
        async with asyncio.timeout_at(end):
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: Link((str(address), port)), str(address), port, local_addr=local
            )
    except OSError as error:
        if source and error.errno == errno.EADDRNOTAVAIL:
            raise _SourceUnusable from None
        raise
    opened = link.transport.get_extra_info("socket")
    # None where the server is gone already, which the first read tells.
    if opened is not None:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)
    return link


async def _handshake(link: Link, context: ssl.SSLContext, host: str) -> Tls:
    if link.over:
        link.abort()
        raise TlsFailed(Cause.LOST)
    try:
        transport = await asyncio.get_running_loop().start_tls(
            link.transport,
            link,
            context,
            server_hostname=host,
            ssl_handshake_timeout=_HANDSHAKE,
            ssl_shutdown_timeout=_SHUTDOWN,
        )
    except BaseException as error:
        link.abort()
        if isinstance(error, OSError):  # ssl.SSLError is one
            raise TlsFailed(_tls_cause(error)) from None
        raise
    if transport is None:  # lost at the very end of the handshake
        link.abort()
        raise TlsFailed(Cause.LOST)
    link.upgraded(transport)
    return _seen(transport)


def _seen(transport: asyncio.Transport) -> Tls:
    tls = transport.get_extra_info("ssl_object")
    cipher = tls.cipher()
    return Tls(
        tls.version() or "",
        cipher[0] if cipher else "",
        Certificate.parse(tls.getpeercert(binary_form=True) or b""),
    )


def _presented(transport: asyncio.Transport) -> Certificate:
    return Certificate.presented(transport.get_extra_info("ssl_object").get_unverified_chain())


def _tls_cause(error: OSError) -> Cause:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_CAUSES.get(error.verify_code, Cause.CERTIFICATE_OTHER)
    if not isinstance(error, ssl.SSLError):
        return Cause.LOST
    if isinstance(error, ssl.SSLEOFError):
        return Cause.LOST
    if error.reason in _NOT_TLS:
        return Cause.TLS_NOT_SPOKEN
    return Cause.TLS_TOO_OLD if error.reason in _TOO_OLD else Cause.TLS_FAILED


@lru_cache(maxsize=64)
def _context(roots: str, pin: str) -> ssl.SSLContext:
    """The rules of a handshake; kept, since reading the system's authorities takes tens of milliseconds."""
    context = _strict()
    if pin:
        with _broken_pem():
            context.load_verify_locations(cadata=pin)
        return context
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if roots:
        with _broken_pem():
            context.load_verify_locations(cafile=roots)
    return context


@contextlib.contextmanager
def _broken_pem() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError):
        raise TlsFailed(Cause.TLS_FAILED, None, {"reason": "the authority's PEM cannot be read"}) from None


def _strict() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A pinned or added authority may be an intermediate one; private ones often lack the key identifiers that
    # VERIFY_X509_STRICT wants.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@lru_cache(maxsize=1)
def _unchecked() -> ssl.SSLContext:
    """For reading a certificate, and for comparing it with a pinned fingerprint afterwards."""
    context = _strict()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
