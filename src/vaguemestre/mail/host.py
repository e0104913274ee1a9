"""Server names and ports as people type them (RFC 5321 §2.3.5, RFC 5890, RFC 1123 §2.1).

One parser decides what a server name is; a pasted URL, a port in the name or a blank is refused with the
hint that sets it right, never repaired. A name is kept in its canonical form, lower-case A-labels without a
final dot, since that is what secrets are bound to (L8) and what a certificate names.
"""

from __future__ import annotations

import ipaddress
import re

import idna

from vaguemestre.mail.errors import Invalid

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_SCHEME = re.compile(r"^\w+://")
_PORT = re.compile(r"^([^:]+):(\d+)$")
_NUMERIC = re.compile(r"^[0-9a-fx.]*$", re.IGNORECASE)


def canonical_host(text: str, field: str = "host") -> str:
    """The canonical form of a server's name or address literal.

    Raises:
        Invalid: `host_empty`, `host_url`, `host_port`, `host_blank`, `host_address` or `host_syntax`.
    """
    if not text:
        raise Invalid(field, "host_empty", "The server is needed, such as smtp.example.org.")
    if _SCHEME.match(text):
        raise Invalid(field, "host_url", "Give only the server's name: leave out what ends in ://.")
    if re.search(r"\s", text):
        raise Invalid(field, "host_blank", "There is a blank in the server's name; remove it.")
    port = _PORT.match(text)
    if port is not None:
        raise Invalid(
            field,
            "host_port",
            f"Give the port in its own field: server {port[1]}, port {port[2]}.",
            {"host": port[1], "port": port[2]},
        )
    if "@" in text:
        raise Invalid(field, "host_address", "This is an email address; the server is like smtp.example.org.")
    return _literal(text) or _name(text, field)


def _literal(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return None


def _name(text: str, field: str) -> str:
    syntax = Invalid(field, "host_syntax", "This is not a server's name; it looks like smtp.example.org.")
    try:
        name = text.removesuffix(".").lower()
        ascii_name = name if name.isascii() else idna.encode(name).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise syntax from None
    labels = ascii_name.split(".")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise syntax
    # 2130706433, 0x7f000001 and 127.1 are read as addresses by resolvers; a name never looks like one.
    if _NUMERIC.match(ascii_name) and re.fullmatch(r"(0x[0-9a-f]*|\d+)", labels[-1]):
        raise syntax
    return ascii_name


def readable_host(canonical: str) -> str:
    """The name as people read it (U-labels)."""
    try:
        return idna.decode(canonical) if "xn--" in canonical else canonical
    except (idna.IDNAError, UnicodeError):
        return canonical


def valid_port(port: int, field: str = "port") -> int:
    """The port, if it is one.

    Raises:
        Invalid: code `port_range`.
    """
    if not 1 <= port <= 65535:
        raise Invalid(field, "port_range", "The port is a number from 1 to 65535, usually 465 or 587.")
    return port
