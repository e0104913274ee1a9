"""Gathers settings of one connection, however they are called, and makes values of a connection of them.

Encryption follows what was said about it, else the port: 465 is TLS from the first byte, 25 without a login
is none, anything else STARTTLS. "tls" on port 465 means TLS from the first byte, as most programs take it.
Optional encryption becomes required encryption; credentials are never left to go in clear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from vaguemestre.mail.account import Encryption
from vaguemestre.mail.address_list import parse_named
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host, valid_port
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.imports.reading import Found, Unread, Why, in_order

IMPLICIT_PORTS = frozenset({"465", "2465"})
_NOTHING = frozenset({"", "null", "none", "(null)", "nil"})
_TRUE = frozenset({"1", "true", "yes", "on", "enabled"})
_FALSE = frozenset({"0", "false", "no", "off", "disabled", *_NOTHING})
_WORDS = {
    "ssl": Encryption.SSL,
    "smtps": Encryption.SSL,
    "implicit": Encryption.SSL,
    "ssl/tls": Encryption.SSL,
    "tls": Encryption.STARTTLS,
    "starttls": Encryption.STARTTLS,
    "smtp": None,
    "auto": None,
}
_HOST_WITH_SCHEME = re.compile(r"(?:(ssl|tls|smtps?)://)?([^/:\s]+|\[[^]\s]+\])(?::([0-9]+))?")


class Gathering:
    """Collects; `found` is what came together."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.unread: list[Unread] = []
        self._texts: dict[str, str] = {}
        self._limits: dict[str, str] = {}
        self._allowed: list[str] = []
        self._word: Encryption | None = None
        self._plain: tuple[int, str] | None = None  # where encryption was said not to be needed
        self._at = (0, "")
        self._password: Secret | None = None

    def miss(self, line: int, name: str, why: Why) -> None:
        """Note a line that was not understood."""
        self.unread.append(Unread(line, name, why))

    def take(self, field: str, value: str, line: int, name: str) -> None:
        """Keep a setting's value; one that cannot be used is noted as such."""
        self._at = (line, name)
        try:
            self._keepers()[field](value)
        except (Invalid, ValueError):
            self.miss(line, name, Why.VALUE)

    @property
    def missed(self) -> tuple[Unread, ...]:
        """The lines that were not understood, in order."""
        return in_order(self.unread)

    def allow(self, sender: str) -> None:
        """Let a pattern of senders leave as they are."""
        self._allowed.append(sender)

    @property
    def sender(self) -> dict[str, str]:
        """The sender that was named."""
        return {name: self._texts[name] for name in ("sender_email", "sender_name") if name in self._texts}

    def fall_back(self, texts: Mapping[str, str]) -> None:
        """Take these where nothing was said."""
        self._texts = {**texts, **self._texts}

    def found(self) -> Found | None:
        """The connection; None where the text says nothing of one."""
        texts = dict(self._texts)
        if not texts.keys() & {"host", "login"} and self._password is None:
            return None
        if texts.get("host"):
            texts["encryption"] = self._encryption(texts).value
            texts.setdefault("port", str(Encryption(texts["encryption"]).usual_port))
        if "sender_email" not in texts and "@" in texts.get("login", ""):
            self._keep_sender(texts["login"], texts)
        values: dict[str, object] = dict(texts)
        if self._limits:
            values["limits"] = dict(self._limits)
        if self._allowed:
            values["allowed_senders"] = list(self._allowed)
        return Found(self.name, values, self._password)

    def _encryption(self, texts: dict[str, str]) -> Encryption:
        port = texts.get("port", "")
        signs_in = bool(texts.get("login")) or self._password is not None
        if self._word is Encryption.SSL or port in IMPLICIT_PORTS:
            return Encryption.SSL
        if self._plain and signs_in and self._word is None:
            self.miss(*self._plain, Why.OPPORTUNISTIC)
        if self._word is Encryption.STARTTLS or signs_in:
            return Encryption.STARTTLS
        return Encryption.NONE if self._plain or port == "25" else Encryption.STARTTLS

    def _keepers(self) -> dict[str, Callable[[str], None]]:
        return {
            "host": self._host,
            "port": self._port,
            "login": lambda value: self._text("login", value),
            "password": self._secret,
            "encryption": self._encrypt,
            "ssl": lambda value: self._switch(value, Encryption.SSL),
            "starttls": lambda value: self._switch(value, Encryption.STARTTLS),
            "from": self._from,
            "sender_name": lambda value: self._text("sender_name", value),
            "reply_to": self._reply_to,
            "source_address": lambda value: self._text("source_address", value),
            "max_sessions": lambda value: self._limit("max_sessions", value),
            "max_recipients": lambda value: self._limit("max_recipients", value),
        }

    def _text(self, field: str, value: str) -> None:
        if value.lower() not in _NOTHING:
            self._texts[field] = value

    def _host(self, value: str) -> None:
        if value.lower() in _NOTHING:
            return
        parts = _HOST_WITH_SCHEME.fullmatch(value)
        if parts is None:
            raise ValueError(value)
        scheme, host, port = parts.groups()
        self._texts["host"] = canonical_host(host)
        if scheme:
            self._word = _WORDS[scheme]
        if port:
            self._port(port)

    def _port(self, value: str) -> None:
        if value.lower() not in _NOTHING:
            self._texts["port"] = str(valid_port(int(value)))

    def _secret(self, value: str) -> None:
        if value.lower() not in _NOTHING:
            self._password = Secret(value)

    def _encrypt(self, value: str) -> None:
        word = value.lower()
        if word in _FALSE:
            self._plain = self._at
        elif word in _TRUE:  # `secure: true` of nodemailer
            self._word = Encryption.SSL
        else:
            if word not in _WORDS:
                raise ValueError(value)
            self._word = _WORDS[word]

    def _switch(self, value: str, meant: Encryption) -> None:
        if value.lower() in _TRUE:
            self._word = meant
        elif value.lower() not in _FALSE:
            raise ValueError(value)

    def _from(self, value: str) -> None:
        if value.lower() not in _NOTHING:
            named = parse_named(value, "sender_email")
            self._texts["sender_email"] = named.mailbox.address
            if named.name:
                self._texts.setdefault("sender_name", named.name)

    def _keep_sender(self, login: str, texts: dict[str, str]) -> None:
        try:
            texts["sender_email"] = parse_named(login, "login").mailbox.address
        except Invalid:
            return

    def _reply_to(self, value: str) -> None:
        if value.lower() not in _NOTHING:
            self._texts["reply_to"] = parse_named(value, "reply_to").mailbox.address

    def _limit(self, field: str, value: str) -> None:
        if int(value) > 0:
            self._limits[field] = str(int(value))
