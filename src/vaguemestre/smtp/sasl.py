"""SASL for submission (RFC 4954), never more than one attempt in a session: for a password PLAIN (RFC 4616),
then LOGIN; for a token of OAuth 2.0 OAUTHBEARER (RFC 7628), then XOAUTH2, its forerunner at Google and
Microsoft.

A mechanism is a value that answers challenges; the session carries its words. `Mechanism.initial` rides on
the AUTH command, `respond` answers a 334, and None means that nothing more may be said: the session then
cancels. A server that refuses a token says why in a 334 first, as JSON in base64; that is answered as the
mechanism wants it, and the reply behind it decides (RFC 7628 §3.2.3).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Protocol

from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.reply import printable
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp.hop import NextHop

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token, RFC 6750 §2.1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TOLD = 200  # characters of a server's reason that are kept


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

    @property
    def facts(self) -> Mapping[str, str]:
        """What the server told of a refusal in its challenges, for `Trouble.facts`."""
        ...

    def respond(self, challenge: bytes) -> str | None:
        """The response, in base64, to the text of a 334; None to cancel."""
        ...


class Plain:
    """RFC 4616: one message."""

    name = "PLAIN"
    facts: Mapping[str, str] = {}

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
    facts: Mapping[str, str] = {}

    def __init__(self, login: str, secret: Secret) -> None:
        self._left = {"user": _encoded(login), "pass": _encoded(secret.reveal())}

    def respond(self, challenge: bytes) -> str | None:
        """The part that is asked for."""
        if not self._left:
            return None
        wanted = _prompt(challenge)
        return self._left.pop(wanted if wanted in self._left else next(iter(self._left)))


class Bearer:
    """A token of OAuth 2.0: one message, and one answer to the server's reason for refusing it.

    `facts` says that it was a token (`oauth`), and that reason: `oauth_status`, `oauth_scope`,
    `oauth_schemes`, as far as it was told.
    """

    def __init__(self, name: str, initial: str, answer: str) -> None:
        self.name = name
        self.initial: str | None = _encoded(initial)
        self.facts: Mapping[str, str] = {"oauth": name}
        self._answer: str | None = answer

    def respond(self, challenge: bytes) -> str | None:
        """The answer that lets the server come to its refusal; there is one challenge at most."""
        answer, self._answer = self._answer, None
        if answer is not None:
            self.facts = {**self.facts, **_reason(challenge)}
        return answer


def _oauthbearer(hop: NextHop, token: str) -> Bearer:
    """RFC 7628 §3.1; §3.2.3 has the answer."""
    name = hop.login.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 §4, saslname
    where = f"host={hop.host}\1port={hop.port}\1"
    return Bearer("OAUTHBEARER", f"n,a={name},\1{where}auth=Bearer {token}\1\1", _encoded("\1"))


def _xoauth2(hop: NextHop, token: str) -> Bearer:
    """As Google and Microsoft document it; the answer is an empty line."""
    return Bearer("XOAUTH2", f"user={hop.login}\1auth=Bearer {token}\1\1", "")


def _prompt(challenge: bytes) -> str:
    return (_decoded(challenge) or b"").decode("ascii", "replace").strip().lower()[:4]


def _reason(challenge: bytes) -> dict[str, str]:
    try:
        told = json.loads(_decoded(challenge) or b"")
    except (ValueError, RecursionError):
        return {}
    words = told if isinstance(told, dict) else {}
    found = {key: words.get(key) for key in ("status", "scope", "schemes")}
    return {f"oauth_{key}": printable(str(word), _TOLD) for key, word in found.items() if word}


def told(mechanism: Mechanism) -> str:
    """What a server said of a refusal in its challenge, as the transcript shows it: "status 401, scope …"."""
    facts = mechanism.facts
    known = {name: facts.get(f"oauth_{name}") for name in ("status", "scope", "schemes")}
    return ", ".join(f"{name} {word}" for name, word in known.items() if word)


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def choose(offered: tuple[str, ...], hop: NextHop) -> Mechanism | None:
    """The mechanism to sign in with, of those the server offers; None if there is none in common.

    One that is fixed (`hop.mechanism`) is the only one: who strips it from the offer gains nothing.
    """
    offered = tuple(name for name in offered if hop.mechanism in {"", name})
    secret = hop.secret or Secret("")
    if hop.auth is AuthKind.OAUTH2:
        return _with_token(offered, hop, secret.reveal())
    return _with_password(offered, hop.login, secret) if hop.auth is AuthKind.PASSWORD else None


def _with_password(offered: tuple[str, ...], login: str, secret: Secret) -> Mechanism | None:
    # A NUL would move the borders of PLAIN's fields.
    if "PLAIN" in offered and "\0" not in login + secret.reveal():
        return Plain(login, secret)
    if "LOGIN" in offered:
        return Login(login, secret)
    return None


def _with_token(offered: tuple[str, ...], hop: NextHop, token: str) -> Mechanism | None:
    # A control character would move the borders of the fields.
    if not _TOKEN.fullmatch(token) or _CONTROL.search(hop.login):
        return None
    if "OAUTHBEARER" in offered:
        return _oauthbearer(hop, token)
    return _xoauth2(hop, token) if "XOAUTH2" in offered else None
