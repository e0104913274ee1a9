"""The commands of a transaction, as octets and as the transcript shows them (RFC 5321 §4.1.1).

Those that repeat are kept: building the same line for every message would be a good part of its cost.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Phase
from vaguemestre.mail.value import value
from vaguemestre.smtp import wire
from vaguemestre.smtp.body import Body
from vaguemestre.smtp.capabilities import Capabilities


@value
class Command:
    """A command.

    Attributes:
        phase: whose deadline its reply has.
        octets: with CRLF.
        shown: for the transcript.
        recipient: at RCPT, whose.
    """

    phase: Phase
    octets: bytes
    shown: str
    recipient: Mailbox | None = None


class Parameters(NamedTuple):
    """Of MAIL (RFC 1870, RFC 6152, RFC 6531)."""

    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False

    @property
    def optional(self) -> bool:
        """Whether there are any that could be left out."""
        return (self.size is not None or self.eight_bit) and not self.smtputf8

    @classmethod
    def of(cls, envelope: Envelope, body: Body, capabilities: Capabilities) -> Parameters:
        """What a message needs, and what the server likes to know."""
        eight_bit = not body.ascii and capabilities.eight_bit
        smtputf8 = capabilities.smtputf8 and (
            envelope.needs_smtputf8 or (eight_bit and not body.header.isascii())
        )
        return cls(body.size if "SIZE" in capabilities.keywords else None, eight_bit, smtputf8)


BARE = Parameters()


def _shown(phase: Phase, line: bytes) -> Command:
    return Command(phase, line, line[:-2].decode(), None)


RSET = _shown(Phase.RSET, wire.command("RSET"))
DATA = _shown(Phase.DATA, wire.command("DATA"))


@lru_cache(maxsize=64)
def ehlo(name: str) -> Command:
    """EHLO, behind a window."""
    return _shown(Phase.EHLO, wire.command("EHLO", name))


@lru_cache(maxsize=1024)
def mail(path: Mailbox | None, parameters: Parameters) -> Command:
    """MAIL."""
    line = wire.mail_from(
        path, size=parameters.size, eight_bit=parameters.eight_bit, smtputf8=parameters.smtputf8
    )
    return _shown(Phase.MAIL, line)


def rcpt(recipient: Mailbox) -> Command:
    """RCPT."""
    line = wire.rcpt_to(recipient)
    return Command(Phase.RCPT, line, line[:-2].decode(), recipient)


def bdat(size: int, *, last: bool) -> Command:
    """BDAT, in front of so many octets (RFC 3030 §2); its reply is about the content."""
    return _shown(Phase.CONTENT, wire.bdat(size, last=last))


def end_of_data(shown: str) -> Command:
    """The final dot."""
    return Command(Phase.CONTENT, wire.END_OF_DATA, shown, None)
