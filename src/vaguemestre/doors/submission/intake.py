"""From the listener into the ledger: what becomes of handovers.

Plain synchronous functions, called in the ledger's threads. They answer in SMTP's terms and never raise for
what a submitter, the database or the disk does.

Promises: 250 only after the commit (L5); a message that waited too long for its turn, or whose submitter left
meanwhile, is no part of it; an answer to an idempotency key is given again, not acted on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from typing import Any

from django.db import IntegrityError

from vaguemestre.doors.submission import answers, troubles
from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.effects import Handover
from vaguemestre.ledger import accept, explanations, parcels, storing
from vaguemestre.ledger.database import AWAY, writing
from vaguemestre.ledger.draft import Draft, draft
from vaguemestre.ledger.idempotency import InProgress, KeyReused, once
from vaguemestre.ledger.identity import new_names
from vaguemestre.ledger.parcels import Piece
from vaguemestre.ledger.refusals import Refusal


@dataclass(slots=True)
class Turn[Item]:
    """A handover, or a piece of one, that waits for its turn.

    Attributes:
        latest: by the monotonic clock, when it has waited for too long.
        given_up: whether its submitter has left; set by its session, at any time.
    """

    item: Item
    latest: float
    given_up: bool = False


def _waiting(turns: Sequence[Turn[Any]]) -> list[bool]:
    """Of each whether its submitter still waits for the answer; asked before the commit."""
    now = time.monotonic()
    return [not turn.given_up and now < turn.latest for turn in turns]


class _Withdrawn(Exception):
    """A group's transaction was undone: somebody in it has left, or waited too long."""


def store_all(clock: Callable[[], datetime], turns: Sequence[Turn[Piece]]) -> list[int | Answer]:
    """Store pieces of large contents in one transaction: the parcel of each in order, or what to answer."""
    there = _waiting(turns)
    pieces = [turn.item for turn in compress(turns, there)]
    try:
        stored = iter(parcels.add_all(pieces, clock()) if pieces else ())
    except Exception as error:  # noqa: BLE001  whatever it is, the submitters keep their messages
        return [trouble(error)] * len(turns)
    return [(next(stored) if waits else None) or answers.NOT_RECORDED for waits in there]


def drop(parcel: int) -> None:
    """Forget a parcel; what cannot be forgotten now is swept later."""
    try:
        parcels.drop([parcel])
    except Exception as error:  # noqa: BLE001  nobody waits for it
        troubles.tell("dropping_failed", error)


def record_all(clock: Callable[[], datetime], limit: int, turns: Sequence[Turn[Handover]]) -> list[Answer]:
    """Commit handovers in one transaction; what to tell their submitters, in order.

    One with an idempotency key has a transaction of its own, since its answer is a part of it.

    Args:
        clock: tells the time.
        limit: bytes of a content at most.
        turns: what waits.

    Raises:
        OperationalError, InterfaceError, InternalError: the database is away.
    """
    now, uids = clock(), iter(new_names(len(turns)))
    drafts = [(turn, _drafted(turn.item, now, next(uids), limit)) for turn in turns]
    together = [(turn, one) for turn, one in drafts if isinstance(one, Draft)]
    replies = iter(_together(together, now) if together else ())
    answered = [
        next(replies) if isinstance(one, Draft) else _alone(turn, now) if one is None else one
        for turn, one in drafts
    ]
    for turn in turns:
        if turn.item.parcel is not None:
            drop(turn.item.parcel.id)  # unless a message has it now
    return answered


def _drafted(handover: Handover, now: datetime, uid: str, limit: int) -> Draft | Answer | None:
    """All of the recording that needs no database, so that no other writer waits for it.

    None for one with an idempotency key, whose answer may be there already.
    """
    if handover.wishes.idempotency_key is not None:
        return None
    try:
        return draft(_submission(handover), now, uid, limit)
    except Refusal as refused:
        return answers.refusal(*refused.errors)
    except Exception as error:  # noqa: BLE001  the submitter is not to blame
        return trouble(error)


type _Ready = tuple[Turn[Handover], Draft]


def _together(group: Sequence[_Ready], now: datetime) -> list[Answer]:
    """Commit a group; where one of it breaks the transaction, each has another by itself."""
    try:
        return _committed(group, now)
    except AWAY:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, the submitters keep their messages
        return [trouble(error)] if len(group) == 1 else [_by_itself(one, now) for one in group]


def _by_itself(one: _Ready, now: datetime) -> Answer:
    try:
        return _committed([one], now)[0]
    except Exception as error:  # noqa: BLE001  it is told to this one alone
        return trouble(error)


def _committed(group: Sequence[_Ready], now: datetime) -> list[Answer]:
    """Commit those who are there from the beginning of the transaction to its end."""
    turns, drafts = [turn for turn, _ in group], [one for _, one in group]
    tried, ahead = False, accept.arrange(drafts, now)
    while True:
        try:
            with writing():  # it may wait for other writers, here or at its first row
                there = _waiting(turns)
                if False in there:
                    results = iter(accept.place([*compress(drafts, there)], None, now))
                else:
                    results = iter(accept.place(drafts, ahead, now))
                _still_there(turns, there)
        except _Withdrawn:
            continue
        except IntegrityError:
            # As `accept.commit`, whose transaction is all its own.
            if tried:
                raise
            tried = True
            explanations.forget()
            continue
        return [_reply(next(results)) if waits else answers.NOT_RECORDED for waits in there]


def _reply(result: str | Refusal) -> Answer:
    return answers.queued(result) if isinstance(result, str) else answers.refusal(*result.errors)


def _still_there(turns: Sequence[Turn[Handover]], there: Sequence[bool]) -> None:
    """Those who were: before the commit, since afterwards nothing but 250 may be said."""
    if _waiting(turns) != there:
        raise _Withdrawn


def _alone(turn: Turn[Handover], now: datetime) -> Answer:
    """Commit a handover with its idempotency key, or give its answer again."""

    def take() -> tuple[int, dict[str, str]]:
        (result,) = accept.accept_all([_submission(handover)], now)
        if isinstance(result, Refusal):
            raise result
        _still_there([turn], [True])
        return 250, {"id": result.uid}

    handover = turn.item
    key = str(handover.wishes.idempotency_key)
    try:
        _, body, _ = once(
            handover.submitter.owner, key, _fingerprint(handover, *_reports(handover)).hex(), now, take
        )
    except KeyReused:
        return answers.KEY_REUSED
    except InProgress:
        return answers.IN_PROGRESS
    except _Withdrawn:
        return answers.NOT_RECORDED
    except Refusal as refused:
        return answers.refusal(*refused.errors)
    except Exception as error:  # noqa: BLE001  whatever it is, the submitter keeps the message
        return trouble(error)
    return answers.queued(str(body["id"]))


def _submission(handover: Handover) -> accept.Submission:
    wishes, mail = handover.wishes, handover.mail
    notify, orcpt = _reports(handover)
    # By place: each keyword costs time.
    return accept.Submission(
        handover.envelope,
        handover.content,
        accept.Via.SMTP,
        handover.submitter.key,
        wishes.stream or handover.submitter.stream,
        wishes.connection,
        wishes.send_at,
        None,  # it never expires
        wishes.tags,
        wishes.metadata,
        "",  # in doubt its stream decides
        handover.parcel,
        _fingerprint(handover, notify, orcpt),
        mail.ret,
        mail.envid,
        notify,
        orcpt,
    )


def _reports(handover: Handover) -> tuple[dict[str, str], dict[str, str]]:
    """NOTIFY and ORCPT of those recipients that have them."""
    rcpts = handover.rcpts
    return (
        {rcpt.recipient.wire: rcpt.notify for rcpt in rcpts if rcpt.notify},
        {rcpt.recipient.wire: rcpt.orcpt for rcpt in rcpts if rcpt.orcpt},
    )


def _fingerprint(handover: Handover, notify: Mapping[str, str], orcpt: Mapping[str, str]) -> bytes:
    """Of all by which the same again within minutes is the same message (RFC 1047).

    Who asks for other reports (RFC 3461) asks for another message: the first one's could not tell.
    """
    submitter, mail = handover.submitter, handover.mail
    sender = mail.reverse_path
    content = handover.content.sha256 if handover.parcel is None else handover.parcel.sha256
    words = [submitter.owner, submitter.stream or "", content, "" if sender is None else sender.wire]
    words += [rcpt.recipient.wire for rcpt in handover.rcpts]
    if notify or orcpt or mail.ret or mail.envid:
        words.append(repr((mail.ret, mail.envid, notify, orcpt)))
    return hashlib.sha256("\n".join(words).encode()).digest()


def trouble(error: BaseException) -> Answer:
    """What to tell a submitter whose message could not be recorded; it still has it."""
    troubles.tell("recording_failed", error)
    return answers.DISK_FULL if storing.disk_full(error) else answers.NOT_RECORDED
