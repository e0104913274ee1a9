"""Our side of a test's dialogue: a network that may dial loopback, hops to a server of this kit, envelopes."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from vaguemestre.egress import Guard, parse_networks
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.timeouts import Timeouts

LOOPBACK = Guard(parse_networks("127.0.0.0/8,::1/128"), frozenset(range(1, 65536)))
PASSWORD = "kanarienvogel-7Q"  # a word to look for where it must not be
SENDER = Mailbox.parse("sender@example.org")
SHORT = replace(Timeouts().at_most(2.0), quit=0.2)


async def lookup_here(host: str, port: int):
    """Every name is 127.0.0.1."""
    return (ipaddress.ip_address("127.0.0.1"),)


def loopback_network(roots: str = "", lookup=lookup_here) -> Network:
    """`roots` is the path of an authority's PEM."""
    return Network(LOOPBACK, lookup, roots)


def hop_to(server, encryption: Encryption = Encryption.NONE, *, password: str = "", **fields) -> NextHop:
    """A hop to a server of this kit; a password makes it sign in as `app`."""
    if password:
        fields = {"auth": AuthKind.PASSWORD, "login": "app", "secret": Secret(password)} | fields
    values = {"host": "localhost", "sender": SENDER, "ehlo_name": "client.example.org"}
    port = fields.pop("port", None) or server.port
    return NextHop(port=port, encryption=encryption, **(values | fields))


def envelope(*recipients: str, sender: str | None = "sender@example.org") -> Envelope:
    """For one@example.org if nobody is named."""
    path = None if sender is None else Mailbox.parse(sender)
    return Envelope(path, tuple(Mailbox.parse(text) for text in recipients or ("one@example.org",)))


async def staged(taken: tuple[Mailbox, ...]) -> None:
    """A stage that is always committed."""
