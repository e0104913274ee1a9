"""The one HTTP transport (design L10), for alerts and for whatever else this product asks of the web.

One request, one connection, one answer (RFC 9112). It promises: nothing is dialled that the guard does not
permit, and what is dialled is the very address that was judged; the name is kept for SNI and certificate,
which is always checked, TLS 1.2 or later; no redirect is followed, no cookie kept, no proxy used; the whole
exchange has one deadline, and the answer a size.

It fails with `HttpFailed`, whose `why` is a code; for an address that the guard refuses it is always
`not_permitted`, before anything is dialled. An answer of any status is an answer.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from vaguemestre.egress import (
    Guard,
    HostUnknown,
    IPAddress,
    Lookup,
    LookupFailed,
    NotPermitted,
    Ports,
    system_lookup,
)
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host

DEADLINE = 10.0  # seconds for all of it
ANSWER_LIMIT = 65_536  # octets, header and body
USUAL_HTTP_PORTS = Ports.of(80, 443)

_READ = 16_384
_UNWRITTEN = re.compile(r"[\x00-\x20\x7f]")
_TARGET = re.compile(r"[!-~]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[ -~]*")


class HttpFailed(Exception):
    """No answer.

    Attributes:
        why: `not_permitted`, `host_unknown`, `lookup_failed`, `unreachable`, `certificate`, `tls`, `timeout`,
            `lost`, `malformed` or `too_large`.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Address:
    """Where a request goes: the parts of a web address, checked.

    Attributes:
        host: canonical name or address literal.
        target: path and query, as they are written on the wire; not in the repr, for it often is a secret.
    """

    secure: bool
    host: str
    port: int
    target: str = field(repr=False)

    @classmethod
    def parse(cls, url: str, name: str = "url") -> Address:
        """The address of `https://host:port/path?query`.

        Raises:
            Invalid: `url_syntax`, or what is wrong with the host.
        """
        wrong = Invalid(name, "url_syntax", "Give a web address, such as https://alerts.example.org/mail.")
        if _UNWRITTEN.search(url):
            raise wrong  # urlsplit would pass over some of these
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise wrong from None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        whole = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
        if not whole or parts.fragment or port == 0 or not _TARGET.fullmatch(target):
            raise wrong
        secure = parts.scheme == "https"
        return cls(
            secure, canonical_host(parts.hostname or "", name), port or (443 if secure else 80), target
        )

    @property
    def authority(self) -> str:
        """For the Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True)
class Request:
    """What is asked."""

    method: str
    address: Address
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # it may hold a secret
    body: bytes = field(default=b"", repr=False)  # as well

    def wire(self) -> bytes:
        """The request as octets.

        Raises:
            ValueError: a character that may not be in a method or header.
        """
        fields = {
            "Host": self.address.authority,
            "User-Agent": "Vaguemestre",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        fit = all(_TOKEN.fullmatch(name) and _VALUE.fullmatch(value) for name, value in fields.items())
        if not fit or not _TOKEN.fullmatch(self.method):
            raise ValueError("a character that may not be in a request")
        lines = [f"{self.method} {self.address.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


@dataclass(frozen=True)
class Answer:
    """What came back; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class HttpTransport:
    """How this process reaches web servers.

    Attributes:
        guard: what may be dialled; its ports are those of HTTP.
        lookup: finds the addresses of a name.
        roots: path of a PEM file with authorities besides the system's; "" for none.
    """

    guard: Guard
    lookup: Lookup = system_lookup
    roots: str = ""

    async def send(
        self, request: Request, *, within: float = DEADLINE, at_most: int = ANSWER_LIMIT
    ) -> Answer:
        """The answer to a request.

        Args:
            request: what is asked.
            within: seconds for everything from the lookup to the end of the answer.
            at_most: octets of the answer, header and body.

        Raises:
            HttpFailed: see the module.
        """
        octets = request.wire()
        try:
            async with asyncio.timeout(within):
                return await self._exchange(request, octets, within, at_most)
        except TimeoutError:
            raise HttpFailed("timeout") from None

    async def _exchange(self, request: Request, octets: bytes, within: float, at_most: int) -> Answer:
        addresses = await self._resolve(request.address)
        reader, writer = await self._dial(request.address, addresses, within)
        try:
            writer.write(octets)
            await writer.drain()
            return await _answer(reader, request.method, at_most)
        except OSError:
            raise HttpFailed("lost") from None
        finally:
            writer.transport.abort()

    async def _resolve(self, address: Address) -> tuple[IPAddress, ...]:
        try:
            return await self.guard.resolve(self.lookup, address.host, address.port)
        except NotPermitted:
            raise HttpFailed("not_permitted") from None
        except HostUnknown:
            raise HttpFailed("host_unknown") from None
        except LookupFailed:
            raise HttpFailed("lookup_failed") from None

    async def _dial(
        self, address: Address, addresses: tuple[IPAddress, ...], within: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The first address that answers in its share of the time; a refused certificate ends the search."""
        tls = _context(self.roots) if address.secure else None
        name = address.host if address.secure else None
        for dialled in addresses:
            try:
                async with asyncio.timeout(within / len(addresses)):
                    return await asyncio.open_connection(
                        str(dialled), address.port, ssl=tls, server_hostname=name
                    )
            except ssl.SSLCertVerificationError:
                raise HttpFailed("certificate") from None
            except ssl.SSLError:
                raise HttpFailed("tls") from None
            except OSError:
                continue
        raise HttpFailed("unreachable")


async def _answer(reader: asyncio.StreamReader, method: str, at_most: int) -> Answer:
    """Read until the answer is whole: its end is where its header says, or where the server closes."""
    received = b""
    while True:
        block = await reader.read(_READ)
        received += block
        if len(received) > at_most:
            raise HttpFailed("too_large")
        answer = _parsed(received, method, ended=not block)
        if answer is not None:
            return answer
        if not block:
            raise HttpFailed("lost" if not received or b"\r\n\r\n" in received else "malformed")


def _parsed(received: bytes, method: str, *, ended: bool) -> Answer | None:
    """The answer, if all of it is there."""
    if b"\r\n\r\n" not in received:
        return None
    response = http.client.HTTPResponse(_Received(received), method=method)  # type: ignore[arg-type]  # reads only
    try:
        response.begin()
        body = response.read()
    except http.client.IncompleteRead:
        return None
    except (http.client.HTTPException, ValueError):
        raise HttpFailed("malformed") from None
    if not ended and response.length is None and not response.chunked:
        return None  # it ends where the server closes
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)


class _Received:
    """Octets in the shape that http.client reads from."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str) -> io.BytesIO:  # noqa: ARG002  http.client's signature
        return io.BytesIO(self._octets)


@lru_cache(maxsize=8)
def _context(roots: str) -> ssl.SSLContext:
    """The rules of a handshake: the system's authorities, and the operator's further ones."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if roots:
        # Private authorities often lack the key identifiers that VERIFY_X509_STRICT wants.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cafile=roots)
    return context
