"""What a sink is told to answer, where it stands when it asks, and what it took."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a hook wants to happen.

    Attributes:
        reply: the line without CRLF, or several joined by CRLF; "" says nothing. A surrogate stands for an octet.
        delay: seconds before it.
        after: what has to be set before it, besides.
        then: `keep`, `drop` (FIN) or `rst` afterwards; `endless` says the reply again and again until the peer leaves.
        end: what ends the reply; "" leaves its last line open.
        pause: seconds behind each octet.
        accepted: whether the content counts as accepted; None follows the reply's first digit.
        reads: at `bdat`, whether the chunk is read first; without, its octets are heard as commands, as by
            a server that announces CHUNKING and does not know BDAT.
    """

    reply: str = ""
    delay: float = 0.0
    after: asyncio.Event | None = None
    then: str = "keep"
    accepted: bool | None = None
    reads: bool = True
    end: str = "\r\n"
    pause: float = 0.0

    @property
    def octets(self) -> bytes:
        return (self.reply + self.end).encode("utf-8", "surrogateescape") if self.reply else b""

    @property
    def takes(self) -> bool:
        return self.reply.startswith("2") if self.accepted is None else self.accepted


LOST = Answer(then="drop", accepted=True)  # taken, and the reply to the final dot never comes
DROP = Answer(then="drop")


@dataclass(frozen=True)
class Moment:
    """Where a session stands when a hook is asked.

    Attributes:
        phase: the hook's name.
        session: 1 for the first connection.
        transaction: 1 for the session's first MAIL.
        argument: the command's argument, such as `FROM:<a@example.org> SIZE=10` or `1000 LAST`, or the recipient at rcpt.
        mail: the reverse-path once given; "" is the null one.
        recipients: those accepted so far.
        content: unstuffed, at `content` only.
        tls, login: how the session is protected, and who signed in.
    """

    phase: str
    session: int
    transaction: int
    argument: str = ""
    mail: str | None = None
    recipients: tuple[str, ...] = ()
    content: bytes = b""
    tls: bool = False
    login: str | None = None


@dataclass(frozen=True)
class Accepted:
    """One message that was answered 250 (or taken and then lost on purpose), by DATA or by BDAT."""

    session: int
    transaction: int
    mail: str
    recipients: tuple[str, ...]
    content: bytes
    parameters: tuple[str, ...]
    tls: bool
    login: str | None
    at: float
    answered: bool
    manner: str = "DATA"

    def as_json(self) -> dict[str, object]:
        return {
            "at": self.at,
            "session": self.session,
            "transaction": self.transaction,
            "mail": self.mail,
            "recipients": list(self.recipients),
            "parameters": list(self.parameters),
            "tls": self.tls,
            "login": self.login,
            "answered": self.answered,
            "manner": self.manner,
            "size": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "content": base64.b64encode(self.content).decode(),
        }


type Hook = Callable[[Moment], Answer | None]
