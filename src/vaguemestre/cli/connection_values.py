"""The values of a connection as options of a command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vaguemestre.cli import oauth2_values
from vaguemestre.cli.arguments import offer_password, password
from vaguemestre.cli.failure import Failed
from vaguemestre.mail.account import AuthKind
from vaguemestre.providers.preset import preset

_TEXTS = {
    "sender_email": "the address that recipients see",
    "sender_name": "the name beside it",
    "reply_to": "where answers go, if not to the sender",
    "host": "the server's name or address",
    "port": "465, 587 or 25 by the encryption, unless said",
    "encryption": "ssl, tls (STARTTLS) or none",
    "login": "the login at the server; empty for none",
    "backup": "the connection to stand in while this one is locked, or throttled for over five minutes",
    "source_address": "the address of this machine to dial from",
}
_LIMITS = {
    "max_sessions": "how many sessions the server takes at once",
    "per_minute": "how many messages it takes in a minute",
    "per_day": "how many recipients it takes in 24 hours",
    "max_recipients": "how many recipients of a message it takes at once",
}


def declare(parser: argparse.ArgumentParser) -> None:
    """One option for each value, the password's two ways in, and the switches."""
    parser.add_argument(
        "--provider",
        metavar="KEY",
        help="fill server, port, encryption and limits as it needs them (`vaguemestre provider list`)",
    )
    for name, summary in _TEXTS.items():
        parser.add_argument(_option(name), help=summary)
    for name, summary in _LIMITS.items():
        parser.add_argument(_option(name), metavar="N", help=f"{summary}; empty for no limit")
    parser.add_argument("--allowed-sender", action="append", help="an address or *@domain; repeatable")
    parser.add_argument(
        "--pinned-certificate", metavar="FILE|FINGERPRINT", help="trust this one; empty for none"
    )
    parser.add_argument("--active", action=argparse.BooleanOptionalAction, help="whether it carries mail")
    parser.add_argument(
        "--default",
        dest="is_default",
        action=argparse.BooleanOptionalAction,
        help="whether it is the default sender",
    )
    parser.add_argument("--clear-password", action="store_true", help="forget the stored password")
    offer_password(parser)
    oauth2_values.declare(parser)


def typed(arguments: argparse.Namespace, *, new: bool) -> dict[str, Any]:
    """The values that were given, under the names of the API. A `new` login asks for its password."""
    names = (*_TEXTS, "active", "is_default")
    values = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.allowed_sender is not None:
        values["allowed_senders"] = [entry for entry in arguments.allowed_sender if entry]
    limits = {name: getattr(arguments, name) for name in _LIMITS if getattr(arguments, name) is not None}
    if arguments.provider:
        filled = preset(arguments.provider).values()
        values, limits = filled | values, filled["limits"] | limits
    if limits:
        values["limits"] = limits
    if arguments.pinned_certificate is not None:
        values["pinned_certificate"] = _certificate(arguments.pinned_certificate)
    if arguments.clear_password:
        values["clear_password"] = True
    values |= oauth2_values.typed(arguments)
    by_token = "oauth2" in values or values.get("auth") == AuthKind.OAUTH2
    secret = password(arguments, wanted=new and bool(arguments.login) and not by_token)
    if secret is not None:
        values["password"] = secret.reveal()
    return values


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _certificate(text: str) -> str:
    """A certificate's file, or the fingerprint itself."""
    path = Path(text)
    try:
        return path.read_text(encoding="ascii") if text and path.is_file() else text
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"pinned_certificate: the file {path} cannot be read: {error}.") from None
