"""Which manner a server is spoken to in: the ladder, and how a connection learns its place on it (design §6).

Everyone starts at the top. What the server announces bounds each session by itself; the ladder is for servers
that announce what they do not do. A refusal of the grouping itself steps down at once: the next manner cures
it. A dialogue that breaks may be the network's fault, so the second one running steps down. What is learned
holds for the settings it was learned with, and for a week: servers are mended, too. Nothing fails here.

A sign is told once a session: at once where the grouping was refused, else at the session's end, the gravest
of its transactions' signs (`gravest`). The reason: a window that breaks breaks many transactions, and a
session that starts small succeeds before it breaks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.policy import wording

BROKEN_RUNNING = 2  # sessions broken one after the other, until a manner is given up
REMEMBERED = timedelta(days=7)

_TRANSACTION = frozenset({Phase.RSET, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})
_COMMANDS = _TRANSACTION - {Phase.CONTENT}
_BREAKS = frozenset({Cause.LOST, Cause.TIMEOUT, Cause.MALFORMED, Cause.UNDUE})
_TOP = next(iter(Manner))


class Sign(StrEnum):
    """What a transaction told of the manner that it was written in, from the gravest down."""

    REFUSED = "refused"  # the server does not take commands so grouped
    BROKEN = "broken"
    GOOD = "good"
    NONE = "none"  # nothing: a refusal of mail or of a recipient, a limit, a fault of ours


class MannerWhy(StrEnum):
    """Why a manner was given up, for people; the text is made at the edge."""

    BDAT_REFUSED = "bdat_refused"
    BDAT_BROKE = "bdat_broke"
    DATA_REFUSED = "data_refused"
    DATA_BROKE = "data_broke"


@dataclass(frozen=True)
class Ladder:
    """A connection's place.

    Attributes:
        manner: the fastest that is tried.
        why: a `MannerWhy`; "" at the top.
        at: when it was learned; None at the top.
        broken: sessions broken in it, one after the other.
        broken_at: when the last of them broke.
    """

    manner: Manner = _TOP
    why: str = ""
    at: datetime | None = None
    broken: int = 0
    broken_at: datetime | None = None


TOP = Ladder()


def sign_of(trouble: Trouble | None, manner: Manner, *, reused_first_reply: bool = False) -> Sign:
    """What one transaction's end tells.

    Args:
        trouble: what went wrong; None where the message was accepted.
        manner: that it was written in.
        reused_first_reply: as in `judgement.Case`: a session that was over before it was used tells nothing.
    """
    if trouble is None:
        return Sign.GOOD
    if trouble.cause is Cause.BDAT_REFUSED:
        return Sign.REFUSED
    if trouble.phase not in _TRANSACTION:
        return Sign.NONE
    if trouble.cause in _BREAKS:
        over = reused_first_reply and trouble.cause is Cause.LOST
        return Sign.NONE if over else Sign.BROKEN
    return _sign_of_reply(trouble, manner) if trouble.cause is Cause.REPLY else Sign.NONE


def _sign_of_reply(trouble: Trouble, manner: Manner) -> Sign:
    reply = trouble.reply
    if reply is None:
        return Sign.NONE
    if not (reply.transient or reply.permanent):
        return Sign.BROKEN  # another command's reply was read
    if manner is Manner.SINGLE or trouble.phase not in _COMMANDS:
        return Sign.NONE
    if wording.access(reply) is not None or wording.limit_reached(reply):
        return Sign.NONE  # "503 AUTH first" is about who we are
    # RSET is never refused (RFC 5321 §4.1.1.5), but by who does not expect it there.
    refused = wording.not_understood(reply) or (trouble.phase is Phase.RSET and reply.permanent)
    return Sign.REFUSED if refused else Sign.NONE


def gravest(signs: Iterable[Sign]) -> Sign:
    """What a session tells, of what its transactions told."""
    order = tuple(Sign)
    return min(signs, key=order.index, default=Sign.NONE)


def learned(
    ladder: Ladder, sign: Sign, now: datetime, *, seen: Manner | None = None, opened: datetime | None = None
) -> Ladder:
    """The place after a sign.

    Args:
        ladder: the place before.
        sign: of a session.
        now: when.
        seen: the manner that the session was in, where the server's announcement held it below the ladder's.
            A sign of a manner that was given up meanwhile teaches nothing.
        opened: when the session was opened. Sessions that were open together and break are one event.
    """
    manner = ladder.manner if seen is None else seen
    if _faster(manner, ladder.manner):
        return ladder
    match sign:
        case Sign.REFUSED:
            return _stepped_down(ladder, manner, now, "refused")
        case Sign.BROKEN:
            return _broken(ladder, manner, now, opened)
        case Sign.GOOD:
            return replace(ladder, broken=0, broken_at=None)
        case Sign.NONE:
            return ladder


def remembered(ladder: Ladder, version_learned: int, version_now: int, now: datetime) -> Ladder:
    """The place to start from: the top again for other settings, or after a week."""
    return still(ladder, now) if ladder.at is not None and version_learned == version_now else TOP


def still(ladder: Ladder, now: datetime) -> Ladder:
    """The place that somebody is at, until what was learned is a week old."""
    return TOP if ladder.at is not None and now - ladder.at >= REMEMBERED else ladder


def _broken(ladder: Ladder, manner: Manner, now: datetime, opened: datetime | None) -> Ladder:
    if manner is Manner.SINGLE:
        return ladder
    if opened is not None and ladder.broken_at is not None and opened <= ladder.broken_at:
        return ladder
    if ladder.broken + 1 >= BROKEN_RUNNING:
        return _stepped_down(ladder, manner, now, "broke")
    return replace(ladder, broken=ladder.broken + 1, broken_at=now)


def _stepped_down(ladder: Ladder, manner: Manner, now: datetime, how: str) -> Ladder:
    if manner is Manner.SINGLE:
        return ladder
    return Ladder(manner.below, MannerWhy(f"{manner.value}_{how}").value, now)


def _faster(one: Manner, other: Manner) -> bool:
    order = tuple(Manner)
    return order.index(one) < order.index(other)
