"""The listener's side of AUTH: PLAIN and LOGIN (RFC 4954, RFC 4616).

A pure value machine: the command's argument and each response go in, a challenge or the credentials come out.
The password is a `Secret` from the moment it is decoded. Any user name is taken; what follows its last `+`
names the stream.

Fails by raising `Refused`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Generator
from dataclasses import dataclass

from vaguemestre.doors.submission.answers import (
    AUTH_CANCELLED,
    AUTH_FAILED,
    AUTH_LONG,
    AUTH_MECHANISM,
    AUTH_SYNTAX,
)
from vaguemestre.doors.submission.paths import Refused
from vaguemestre.mail.secret import Secret

RESPONSE_LIMIT = 1_024  # characters of base64; a key and a user name are far below
_PROCESS = os.urandom(32)
_ASK_USER = b"334 VXNlcm5hbWU6\r\n"  # "Username:", which every implementation of LOGIN waits for
_ASK_PASSWORD = b"334 UGFzc3dvcmQ6\r\n"  # "Password:"
_ASK_NOTHING = b"334 \r\n"


@dataclass(frozen=True)
class Credentials:
    """Who wants to submit.

    Attributes:
        user: any name.
        key: the password, meant to be an API key.
    """

    user: str
    key: Secret

    @property
    def stream(self) -> str | None:
        """The stream that the user name asks for (`app+invoices`)."""
        return self.user.rpartition("+")[2] or None if "+" in self.user else None

    @property
    def digest(self) -> bytes:
        """The same for the same ones, in this process; nothing can be read from it, nor tried outside."""
        words = f"{self.user}\0{self.key.reveal()}".encode()
        return hashlib.blake2b(words, key=_PROCESS, digest_size=16).digest()


class Exchange:
    """One AUTH command, up to its credentials."""

    def __init__(self, argument: bytes) -> None:
        mechanism, _, initial = argument.partition(b" ")
        dialogues = {b"PLAIN": _plain, b"LOGIN": _login}
        if mechanism.upper() not in dialogues:
            raise Refused(AUTH_MECHANISM)
        self._initial = initial
        self._steps = dialogues[mechanism.upper()]()

    def begin(self) -> bytes | Credentials:
        """The first challenge as bytes of the wire, or the credentials if the command carried them."""
        challenge = next(self._steps)
        return self.respond(self._initial) if self._initial else challenge

    def respond(self, line: bytes) -> bytes | Credentials:
        """What follows a response without its CRLF: the next challenge, or the credentials.

        Raises:
            Refused: cancelled, too long, no base64, or not what the mechanism asks for.
        """
        try:
            return self._steps.send(_decoded(line))
        except StopIteration as end:
            credentials: Credentials = end.value
            return credentials


type _Steps = Generator[bytes, bytes, Credentials]


def _plain() -> _Steps:
    parts = (yield _ASK_NOTHING).split(b"\0")
    if len(parts) != 3:
        raise Refused(AUTH_SYNTAX)
    authorization, user, key = parts
    if authorization not in {b"", user}:
        raise Refused(AUTH_FAILED)  # RFC 4616 §2: nobody acts for another here
    return _credentials(user, key)


def _login() -> _Steps:
    user = yield _ASK_USER
    return _credentials(user, (yield _ASK_PASSWORD))


def _credentials(user: bytes, key: bytes) -> Credentials:
    if not user or b"\0" in user + key:
        raise Refused(AUTH_SYNTAX)
    try:
        return Credentials(user.decode(), Secret(key.decode()))
    except UnicodeDecodeError:
        raise Refused(AUTH_SYNTAX) from None


def _decoded(line: bytes) -> bytes:
    if line == b"*":
        raise Refused(AUTH_CANCELLED)
    if len(line) > RESPONSE_LIMIT:
        raise Refused(AUTH_LONG)
    if line == b"=":  # RFC 4954 §4: an initial response that is empty
        return b""
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise Refused(AUTH_SYNTAX) from None
