"""How a submitter behaves: what is no SMTP at all, and how many errors a session may make.

A browser, or a TLS handshake on the port without TLS, is told so at its first line. Commands that bring
nothing about count as errors once there are too many of them without a message between.
"""

from __future__ import annotations

import re

from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.limits import Limits

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_WEB = frozenset(
    {b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE", b"PRI"}
)
_TLS_RECORD = 0x16  # the first byte of a handshake: somebody chose implicit TLS on this port
TINY = 8  # octets of a chunk: no more than the command that announces it
IDLE = frozenset({b"NOOP", b"RSET", b"VRFY", b"HELP", b"EHLO", b"HELO"})


def has_control(line: bytes) -> bool:
    """Whether a command holds what is no part of one."""
    plain = line.isascii() and line.decode("ascii").isprintable()  # nearly all: no pattern is tried
    return not plain and _CONTROL.search(line) is not None


def is_handshake(data: bytes) -> bool:
    """Whether a session begins with TLS where it should not."""
    return data[0] == _TLS_RECORD


def is_web(verb: bytes) -> bool:
    """Whether the verb is one of HTTP."""
    return verb in _WEB


class Conduct:
    """Counts, of one session, what it is allowed only so often.

    Attributes:
        borne: whether it may go on.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._errors = self._failures = self._idle_commands = self._surplus = 0
        self.borne = True

    def idle(self) -> None:
        """A command was read that brings nothing about."""
        self._idle_commands += 1
        if self._idle_commands > self._limits.idle_commands:
            self.error()

    def surplus(self) -> None:
        """A recipient was said that adds none."""
        self._surplus += 1
        if self._surplus > self._limits.surplus:
            self.error()

    def message(self) -> None:
        """A message was handed over, taken or not."""
        self._idle_commands = self._surplus = 0

    def error(self) -> None:
        """A command was answered with a 5yz, or is one too many."""
        self._errors += 1
        self.borne = self._errors < self._limits.errors

    def bears_sign_in(self, reply: Answer, *, again: bool) -> bool:
        """Whether it may go on behind a refused sign-in; one that is not decided, or the same, is none."""
        if not reply.refuses:
            self.idle()
            return True
        self._failures += not again
        return self._failures < self._limits.failures
