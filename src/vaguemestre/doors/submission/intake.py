"""From the listener into the ledger: who signs in, and what becomes of a handover.

Plain synchronous functions, called in the ledger's threads. They answer in SMTP's terms and never raise for
what a submitter, the database or the disk does.

Promises: 250 only after the commit (L5); a message that waited too long for its turn, or whose key was
revoked meanwhile, is rolled back before it is answered; an answer to an idempotency key is given again, not
acted on.
"""

from __future__ import annotations

import errno
import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network

import structlog
from django.db import DatabaseError

from vaguemestre.doors.submission import answers
from vaguemestre.doors.submission.answers import Answer, answer
from vaguemestre.doors.submission.effects import Handover, Submitter
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.headers import Wishes, read_wishes
from vaguemestre.doors.submission.terms import Peer
from vaguemestre.ledger import accept, keys
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.idempotency import InProgress, KeyReused, once
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.errors import Invalid

log = structlog.get_logger("vaguemestre.submission")

SCOPE = "send"
# Matters of policy; everything else that is refused is a fault of the message's own form.
_POLICY = frozenset({"stream_unknown", "stream_not_allowed", "connection_unknown"})


@dataclass(frozen=True)
class Turn:
    """When a handover's turn has come.

    Attributes:
        now: aware, UTC: the time of acceptance.
        in_time: whether its submitter still waits for the answer; asked once more before the commit.
        trace_limit: Received fields that a message may have.
    """

    now: datetime
    in_time: Callable[[], bool]
    trace_limit: int


class _Withdrawn(Exception):
    """Nothing was recorded, for a reason that is known, with the answer to give."""

    def __init__(self, reply: Answer) -> None:
        super().__init__(str(reply))
        self.answer = reply


def sign_in(credentials: Credentials, peer: Peer, now: datetime) -> ApiKey | Answer:
    """The key that the password is, if it may submit from this peer; else the answer to give."""
    try:
        key = keys.authenticate(credentials.key.reveal(), now)
    except Exception as error:  # noqa: BLE001  the submitter is not to blame
        _log_trouble("sign_in_failed", error)
        return answers.AUTH_LATER
    if key is None or SCOPE not in key.scopes or not _from_here(key, peer):
        return answers.AUTH_FAILED
    return key


def _from_here(key: ApiKey, peer: Peer) -> bool:
    return not key.networks or peer.within(tuple(ip_network(network) for network in key.networks))


def record(handover: Handover, turn: Turn) -> Answer:
    """Commit a handover; the answer is what to tell the submitter."""
    try:
        return _record(handover, turn)
    except _Withdrawn as withdrawn:
        return withdrawn.answer
    except Invalid as fault:
        return refusal(fault)
    except Refusal as refused:
        return refusal(*refused.errors)
    except Exception as error:  # noqa: BLE001  whatever it is, the submitter keeps the message
        _log_trouble("recording_failed", error)
        return answers.DISK_FULL if _disk_full(error) else answers.NOT_RECORDED


def _record(handover: Handover, turn: Turn) -> Answer:
    content = Content(handover.raw)
    if sum(name == b"received" for name, _ in content.fields) > turn.trace_limit:
        return answers.LOOP
    wishes = read_wishes(content)
    submission = _submission(handover, content, wishes)

    def take() -> tuple[int, dict[str, str]]:
        message = accept.accept(submission, turn.now)
        _still_wanted(handover.submitter, turn)
        return 250, {"id": str(message.uid)}

    key = wishes.idempotency_key
    return _queued(_committed(take) if key is None else _committed_once(take, key, handover, turn.now))


type _Take = Callable[[], tuple[int, dict[str, str]]]


def _committed(take: _Take) -> str:
    with writing():
        _, taken = take()
    return taken["id"]


def _committed_once(take: _Take, key: str, handover: Handover, now: datetime) -> str:
    try:
        _, body, _ = once(_owner(handover.submitter), key, _digest(handover), now, take)
    except KeyReused:
        raise _Withdrawn(answers.KEY_REUSED) from None
    except InProgress:
        raise _Withdrawn(answers.IN_PROGRESS) from None
    return str(body["id"])


def _submission(handover: Handover, content: Content, wishes: Wishes) -> accept.Submission:
    return accept.Submission(
        envelope=Envelope.to_each(handover.reverse_path, handover.recipients),
        content=content,
        via=accept.Via.SMTP,
        submitter=handover.submitter.key,
        stream=wishes.stream or handover.submitter.stream,
        connection=wishes.connection,
        tags=wishes.tags,
        metadata=wishes.metadata,
        send_at=wishes.send_at,
    )


def _still_wanted(submitter: Submitter, turn: Turn) -> None:
    """Before the commit: afterwards nothing but 250 may be said."""
    key = submitter.key
    if key is not None and not ApiKey.objects.filter(pk=key.pk, revoked_at=None).exists():
        raise _Withdrawn(answers.KEY_REVOKED)
    if not turn.in_time():
        raise _Withdrawn(answers.NOT_RECORDED)


def _queued(identifier: str) -> Answer:
    return answer(250, "2.0.0", f"queued as {identifier}")


def _owner(submitter: Submitter) -> str:
    """Whose idempotency keys these are; apart from the API's, whose answers have another form."""
    return "smtp:trusted" if submitter.key is None else f"smtp:{submitter.key.uid}"


def _digest(handover: Handover) -> str:
    paths = [handover.reverse_path, *handover.recipients]
    digest = hashlib.sha256("\n".join("" if path is None else path.wire for path in paths).encode())
    digest.update(b"\n\n")
    digest.update(handover.raw)
    return digest.hexdigest()


def refusal(*faults: Invalid) -> Answer:
    """The answer to a message that the ledger does not take, with all its reasons."""
    first = faults[0]
    text = " ".join(fault.message for fault in faults)
    if first.code == "bare_line_ending":
        return answers.BARE_LINE_ENDING
    if first.code == "message_size":
        return answer(552, "5.3.4", text)
    if first.code in {"sender_not_allowed", "sender_not_named"}:
        return answer(553, "5.7.1", text)
    return answer(550, "5.7.1" if first.code in _POLICY else "5.6.0", text)


def _disk_full(error: Exception) -> bool:
    """SQLite and PostgreSQL say it in words, the file system by number."""
    text = str(error).lower()
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return full or (isinstance(error, DatabaseError) and ("is full" in text or "no space left" in text))


def _log_trouble(event: str, error: Exception) -> None:
    # The place instead of the traceback: a database's words may quote the values of the statement.
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error(event, error=type(error).__name__, place=f"{place.filename}:{place.lineno}")
