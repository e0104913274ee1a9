"""SASL for submission (RFC 4954): PLAIN (RFC 4616), then LOGIN, never more than one attempt in a session.

A mechanism is a value that answers challenges; the session carries its words. `Mechanism.initial` rides on
the AUTH command, `respond` answers a 334, and None means that nothing more may be said: the session then
cancels.
"""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

from vaguemestre.mail.secret import Secret


class Mechanism(Protocol):
    """One AUTH exchange."""

    @property
    def name(self) -> str:
        """As announced."""
        ...

    @property
    def initial(self) -> str | None:
        """The initial response in base64, if the mechanism starts with one."""
        ...

    def respond(self, challenge: bytes) -> str | None:
        """The response, in base64, to the text of a 334; None to cancel."""
        ...


class Plain:
    """RFC 4616: one message."""

    name = "PLAIN"

    def __init__(self, login: str, secret: Secret) -> None:
        self.initial: str | None = _encoded(f"\0{login}\0{secret.reveal()}")

    def respond(self, challenge: bytes) -> str | None:  # noqa: ARG002  the mechanism has no challenge
        """Nothing: what there was to say rode on the command."""
        return None


class Login:
    """The old two-step mechanism: user name, then password, each asked for.

    Prompts that name what they want are believed, any other is answered in the usual order, and neither
    answer is given twice.
    """

    name = "LOGIN"
    initial: str | None = None

    def __init__(self, login: str, secret: Secret) -> None:
        self._left = {"user": _encoded(login), "pass": _encoded(secret.reveal())}

    def respond(self, challenge: bytes) -> str | None:
        """The part that is asked for."""
        if not self._left:
            return None
        wanted = _prompt(challenge)
        return self._left.pop(wanted if wanted in self._left else next(iter(self._left)))


def _prompt(challenge: bytes) -> str:
    try:
        text = base64.b64decode(challenge.strip(), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return text.decode("ascii", "replace").strip().lower()[:4]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def choose(offered: tuple[str, ...], login: str, secret: Secret) -> Mechanism | None:
    """The mechanism to sign in with, of those the server offers; None if there is none in common."""
    # A NUL would move the borders of PLAIN's fields.
    if "PLAIN" in offered and "\0" not in login + secret.reveal():
        return Plain(login, secret)
    if "LOGIN" in offered:
        return Login(login, secret)
    return None


def traces(login: str, secret: Secret) -> tuple[str, ...]:
    """What of the secret could come back in a server's words: in clear, and as we encode it."""
    word = secret.reveal()
    forms = (word, _encoded(word), _encoded(f"\0{login}\0{word}"))
    return tuple(form for form in forms if len(form) >= 4)  # a shorter one would match anything
