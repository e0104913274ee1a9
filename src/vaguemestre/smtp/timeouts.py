"""How long each phase may take, in seconds (RFC 5321 §4.5.3.2), as values that a test can set."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from vaguemestre.mail.phase import Phase


@dataclass(frozen=True)
class Timeouts:
    """Deadlines of a session. Each is a total: a dripping server does not stretch it.

    `silence` is none: seconds without a greeting after which the server is asked whether it waits for TLS
    (`smtp.silence`), where somebody waits for the answer.
    """

    resolve: float = 10.0
    connect: float = 30.0
    tls: float = 30.0
    greeting: float = 300.0
    ehlo: float = 300.0
    starttls: float = 120.0
    auth: float = 120.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0  # progress of the content's bytes
    content: float = 600.0  # the reply to the end of data: leaving earlier makes doubt
    rset: float = 60.0
    quit: float = 5.0
    silence: float = math.inf

    def of(self, phase: Phase) -> float:
        """What a phase may take; the fields have the phases' names."""
        seconds: float = getattr(self, phase._value_)
        return seconds

    def at_most(self, seconds: float) -> Timeouts:
        """None longer than `seconds`, for a dialogue somebody waits for."""
        short = {name: min(value, seconds) for name, value in vars(self).items()}
        return replace(self, **short | {"silence": self.silence})
