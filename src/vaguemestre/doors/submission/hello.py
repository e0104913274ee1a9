"""The answers to EHLO and HELO: who greets whom, and what is offered (RFC 5321 §4.1.1.1).

STARTTLS is offered until it is in use, AUTH only where nobody between can read it: under TLS, or on this
machine.
"""

from __future__ import annotations

import re

from vaguemestre.doors.submission.answers import Answer, answer
from vaguemestre.doors.submission.terms import Peer, Terms

_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")


def is_name(argument: bytes) -> bool:
    """Whether it may stand behind EHLO: one word, whatever it says."""
    return _NAME.fullmatch(argument.decode("utf-8", "surrogateescape")) is not None


def helo(terms: Terms, peer: Peer, extensions: tuple[str, ...] = ()) -> Answer:
    """To HELO; with the extensions, to EHLO."""
    return answer(250, "", f"{terms.name} greets {peer.literal}", *extensions)


def ehlo(terms: Terms, peer: Peer, *, secure: bool) -> Answer:
    """To EHLO, with all that is offered to this peer now."""
    offered = ["PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", f"SIZE {terms.limits.message}"]
    offered += ["ENHANCEDSTATUSCODES", "DSN"]
    if may_sign_in(peer, secure=secure):
        offered.append("AUTH PLAIN LOGIN")
    if terms.tls is not None and not secure:
        offered.append("STARTTLS")
    return helo(terms, peer, tuple(offered))


def may_sign_in(peer: Peer, *, secure: bool) -> bool:
    """Whether a key may be written in this session."""
    return secure or peer.loopback
