"""The autoconfig document that a domain may publish for mail programs (config-v1.1.xml).

Read with expat and nothing above it: a document type is refused, so that no entity is ever defined or
fetched; depth and number of servers are bounded; the transport bounds the octets. Elements that are not
needed are passed over. Fails with `Unusable`.
"""

from __future__ import annotations

from xml.parsers import expat

from vaguemestre.mail.account import Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host, valid_port
from vaguemestre.providers.preset import Login, Server

DEPTH = 16
MOST = 8  # outgoing servers of one document
_TEXT = 512  # characters of one element
_ENCRYPTION = {"SSL": Encryption.SSL, "STARTTLS": Encryption.STARTTLS, "plain": Encryption.NONE}
_LOGIN = {"%EMAILADDRESS%": Login.ADDRESS, "%EMAILLOCALPART%": Login.LOCAL_PART}
_OUTGOING = "outgoingServer"


class Unusable(Exception):
    """No document, or none that can be read safely."""


def outgoing_servers(document: bytes) -> list[tuple[Server, Login | None]]:
    """The SMTP servers of a document, in its order; those with faults are left out.

    Raises:
        Unusable.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, LookupError, ValueError):
        raise Unusable from None
    return [found for found in map(_server, reader.servers) if found is not None]


class _Reader:
    """Collects the fields of each outgoing server; of an element that is there twice the first counts."""

    def __init__(self) -> None:
        self.servers: list[dict[str, str]] = []
        self._path: list[str] = []
        self._fields: dict[str, str] | None = None  # of the server that is being read
        self._field = ""

    def refuse(self, *_: object) -> None:
        raise Unusable

    def start(self, name: str, attributes: dict[str, str]) -> None:
        within = self._path[-1] if self._path else ""
        self._path.append(name)
        if len(self._path) > DEPTH or len(self.servers) > MOST:
            raise Unusable
        if name == _OUTGOING:
            self._fields = {} if attributes.get("type", "").lower() == "smtp" else None
            self.servers += [] if self._fields is None else [self._fields]
        elif within == _OUTGOING and self._fields is not None and name not in self._fields:
            self._fields[name], self._field = "", name

    def end(self, name: str) -> None:
        self._path.pop()
        if name == _OUTGOING:
            self._fields = None
        elif self._path[-1:] == [_OUTGOING]:
            self._field = ""

    def text(self, data: str) -> None:
        if self._fields is not None and self._field and self._path[-2:] == [_OUTGOING, self._field]:
            self._fields[self._field] = (self._fields[self._field] + data)[:_TEXT]


def _server(fields: dict[str, str]) -> tuple[Server, Login | None] | None:
    values = {name: text.strip() for name, text in fields.items()}
    encryption = _ENCRYPTION.get(values.get("socketType", ""))
    try:
        host, port = canonical_host(values.get("hostname", "")), valid_port(int(values.get("port", "")))
    except (Invalid, ValueError):
        return None
    return (
        None
        if encryption is None
        else (Server(host, port, encryption), _LOGIN.get(values.get("username", "")))
    )
