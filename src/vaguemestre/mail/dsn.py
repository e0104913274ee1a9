"""A delivery status notification: what became of a message, told to its reverse-path (RFC 3464, RFC 6522).

`action_of` says whether the end of a delivery is to be reported at all (RFC 3461 §4.1). `compose` promises a
content of two or three parts for any reply text and any address: words for people, the same as fields for
programs, and what is returned of the message itself. Its own header section and the fields are ASCII, but
for a reverse-path whose local part is not; addresses and words beyond ASCII are written in them as RFC 6533
§3 has it. It has no Date and no Message-ID: those are added when it leaves. A function of its arguments.

Does not fail: what would break a line or a field is escaped, or left out.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from ipaddress import ip_address

from vaguemestre.mail.content import Content, has_long_line, header_end
from vaguemestre.mail.header import LINE_GOAL, LONGEST_WORD, is_message_id, mailboxes_field, text_field
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.reply import Reply, printable
from vaguemestre.mail.state import DeliveryState

SUBJECT_LIMIT = 300  # characters
_FAILURES = frozenset({DeliveryState.REFUSED, DeliveryState.EXPIRED})
_XTEXT = re.compile(r"\+([0-9A-F]{2})")  # RFC 3461 §4
# What an address of the type utf-8 may hold unescaped in seven bits: QCHAR of RFC 6533 §3.
_NO_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_LINES = re.compile(r"[ \n]+")  # not the no-break spaces of French
_NO_ASCII = re.compile(r"[^ -~]")


class Action(StrEnum):
    """What became of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"  # still tried
    RELAYED = "relayed"  # taken by a server to which our parameters of DSN were not passed on


def action_of(state: str, notify: str) -> Action | None:
    """What is to be reported of a delivery in this state; None for nothing.

    Args:
        state: of the delivery.
        notify: as RCPT gave it; "" asks for failures (RFC 3461 §4.1).
    """
    if state == DeliveryState.ACCEPTED:
        return Action.RELAYED if "SUCCESS" in notify else None
    if state in _FAILURES:
        return Action.FAILED if not notify or "FAILURE" in notify else None
    return None


def status_of(state: str, reply: Reply | None, ours: str = "") -> str:
    """The status of a recipient (RFC 3463): the server's own where it gave one.

    Args:
        state: in which the delivery ended.
        reply: the last one, if there was one.
        ours: where it was refused here, without asking the server.
    """
    said = None if reply is None else reply.enhanced
    if state == DeliveryState.ACCEPTED:
        return str(said) if said is not None and said.klass == 2 else "2.0.0"
    if said is not None and said.klass in {4, 5}:
        return str(said)
    return ours or ("5.4.7" if state == DeliveryState.EXPIRED else "5.0.0")


def status_of_delay(reply: Reply | None, ours: str) -> str:
    """The status of a recipient that still waits (RFC 3463): the server's own, as of the fourth class.

    Args:
        reply: the last one, if that is what it waits for.
        ours: where it waits for something else.
    """
    if reply is None:
        return ours
    said = reply.enhanced
    return "4.0.0" if said is None else f"4.{said.subject}.{said.detail}"


@dataclass(frozen=True)
class Ended:
    """What became of one recipient.

    Attributes:
        status: class.subject.detail.
        orcpt: as RCPT gave it (RFC 3461 §4.2); "" for none.
        reply: the server's last words.
        remote: the server that said them.
        attempted_at: the end of the last attempt.
        retry_until: of what is delayed, until when it is tried; None where that is not known.
    """

    recipient: Mailbox
    action: Action
    status: str
    orcpt: str = ""
    reply: Reply | None = None
    remote: str = ""
    attempted_at: datetime | None = None
    retry_until: datetime | None = None


@dataclass(frozen=True)
class Dsn:
    """What is told.

    Attributes:
        to: the reverse-path of the message it is about.
        sender: None leaves the From to the connection that carries it.
        text: for people.
        reporting: our own name.
        arrived_at: when the message was accepted here.
        ended: the recipients, at least one.
        envid: as MAIL gave it (RFC 3461 §4.4); "" for none.
        message_id: of the message it is about, as it was given.
        original: the beginning of that message, its whole header section at least; b"" where it is gone.
        whole: whether `original` is all of it, and is returned as a whole (RFC 3461 §4.3).
    """

    to: Mailbox
    sender: NamedMailbox | None
    subject: str
    text: str
    reporting: str
    arrived_at: datetime
    ended: tuple[Ended, ...]
    envid: str = ""
    message_id: str = ""
    original: bytes = field(default=b"", repr=False)
    whole: bool = False


def compose(dsn: Dsn) -> Content:
    """The content of a notification."""
    parts = [_words(dsn.text), _fields(dsn), *_returned(dsn)]
    boundary = f"=_{hashlib.sha256(b''.join(parts)).hexdigest()[:32]}".encode()
    between = b"--" + boundary + b"\r\n"
    body = b"".join(between + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    kind = (
        b"Content-Type: multipart/report; report-type=delivery-status;\r\n"
        b' boundary="' + boundary + b'"\r\nContent-Transfer-Encoding: ' + _bits(body) + b"\r\n"
    )
    return Content(b"".join((*_head(dsn), b"MIME-Version: 1.0\r\n", kind, b"\r\n", body)))


def _head(dsn: Dsn) -> Iterator[bytes]:
    if dsn.sender is not None:
        yield mailboxes_field("From", [dsn.sender])
    yield mailboxes_field("To", [NamedMailbox(dsn.to)])
    yield text_field("Subject", _LINES.sub(" ", printable(dsn.subject, SUBJECT_LIMIT)).strip())
    yield b"Auto-Submitted: auto-replied\r\n"  # RFC 3834 §5
    if is_message_id(dsn.message_id):
        yield f"References: {dsn.message_id}\r\n".encode("ascii")


# The parts


def _words(text: str) -> bytes:
    lines = "\r\n".join(printable(line) for line in text.splitlines()) + "\r\n"
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + binascii.b2a_qp(lines.encode(), istext=True)
    )


def _fields(dsn: Dsn) -> bytes:
    """One group of fields about the message, and one for each recipient (RFC 3464 §2.1)."""
    groups = [_of_message(dsn), *(_of_recipient(ended) for ended in dsn.ended)]
    return b"Content-Type: message/delivery-status\r\n\r\n" + b"\r\n".join(map(b"".join, groups))


def _returned(dsn: Dsn) -> Iterator[bytes]:
    header = dsn.original[: header_end(dsn.original)]
    if not header:
        return
    if dsn.whole:
        kind = b"message/rfc822" if header.isascii() else b"message/global"  # RFC 6532 §3.7
        yield b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
            kind,
            _bits(dsn.original),
            dsn.original,
        )
    elif header.isascii() and not has_long_line(header):
        yield b"Content-Type: text/rfc822-headers\r\n\r\n" + header
    else:
        yield (
            b"Content-Type: text/rfc822-headers; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + binascii.b2a_qp(header, istext=True)
        )


def _bits(octets: bytes) -> bytes:
    return b"7bit" if octets.isascii() else b"8bit"


# The fields for programs


def _of_message(dsn: Dsn) -> Sequence[bytes]:
    envelope_id = _decoded(dsn.envid)
    return [
        *([_line("Original-Envelope-Id", envelope_id)] if 0 < len(envelope_id) <= LONGEST_WORD else []),
        _line("Reporting-MTA", f"dns; {dsn.reporting}"),
        _line("Arrival-Date", format_datetime(dsn.arrived_at.replace(microsecond=0))),
    ]


def _of_recipient(ended: Ended) -> Iterator[bytes]:
    original = _original_recipient(ended.orcpt)
    if original:
        yield _line("Original-Recipient", original)
    yield _line("Final-Recipient", _typed(ended.recipient))
    yield _line("Action", ended.action.value)
    yield _line("Status", ended.status)
    if ended.reply is not None:
        if ended.remote:
            yield _line("Remote-MTA", f"dns; {_named(ended.remote)}")
        yield _folded("Diagnostic-Code", f"smtp; {ended.reply}")
    if ended.attempted_at is not None:
        yield _line("Last-Attempt-Date", format_datetime(ended.attempted_at.replace(microsecond=0)))
    if ended.retry_until is not None and ended.action is Action.DELAYED:  # RFC 3464 §2.3.9
        yield _line("Will-Retry-Until", format_datetime(ended.retry_until.replace(microsecond=0)))


def _named(host: str) -> str:
    """A server; one that is known by its address alone as a literal (RFC 3464 §2.2.2, RFC 5321 §4.1.3)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _typed(mailbox: Mailbox) -> str:
    """An address with its type; beyond ASCII in seven bits all the same (RFC 6533 §3)."""
    if mailbox.wire.isascii():
        return f"rfc822; {mailbox.wire}"
    return f"utf-8; {_NO_QCHAR.sub(_escaped, mailbox.wire)}"


def _original_recipient(orcpt: str) -> str:
    """The address of ORCPT, decoded; "" where there is none, or none that a line can hold."""
    kind, _, address = orcpt.partition(";")
    if not address:
        return ""
    known = address if kind.lower() == "utf-8" else _decoded(address)
    typed = _NO_ASCII.sub(_escaped, f"{kind}; {known}")
    return typed if len(typed) <= LONGEST_WORD else ""


def _decoded(xtext: str) -> str:
    """The text that xtext stands for; as it is where that is no printable ASCII (RFC 3461 §4.4)."""
    text = _XTEXT.sub(lambda found: chr(int(found[1], 16)), xtext)
    return _NO_ASCII.sub(_escaped, xtext if _NO_ASCII.search(text) else text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{{{ord(found[0]):02X}}}"


def _line(name: str, value: str) -> bytes:
    """A field that is never folded: an address may hold blanks that count."""
    return f"{name}: {_NO_ASCII.sub(_escaped, value)}\r\n".encode("ascii")


def _folded(name: str, value: str) -> bytes:
    words = _NO_ASCII.sub(_escaped, " ".join(value.split()))
    short = " ".join(
        piece
        for word in words.split(" ")
        for piece in textwrap.wrap(word, LONGEST_WORD, break_on_hyphens=False)
    )
    lines = textwrap.wrap(
        f"{name}: {short}",
        LINE_GOAL,
        subsequent_indent=" ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
