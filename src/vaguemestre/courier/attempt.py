"""One try at the deliveries of one claim: borrow a session, transact, judge, settle.

Promises (L6): the stage is committed before the end of data goes out, and not without a lease that is still
ours on a clock that counts suspension; what cannot be recorded yet is kept in hand and recorded later, and
meanwhile this lane sends nothing else. Ends in `Stale` where another courier took the lane over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError

from vaguemestre.courier.settling import Judged, next_health, settlement
from vaguemestre.ledger import contents, queue
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.queue import Claim, Duty, Report, Stale
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Phase, Trouble
from vaguemestre.mail.transcript import Transcript
from vaguemestre.policy.judgement import Case, Fate, Why
from vaguemestre.policy.verdict import judge
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import Session, SessionFailed
from vaguemestre.smtp.transaction import Outcome, StageRefused, transact

if TYPE_CHECKING:
    from vaguemestre.courier.lane import Lane

log = structlog.get_logger("courier")

_RECORD_PAUSES = (0.05, 0.2, 0.5, 1.0)  # seconds between tries to record a result; the last repeats


@dataclass(frozen=True)
class _Tried:
    """What one transaction, or the failure to open a session for it, brought."""

    outcomes: tuple[Outcome, ...]
    transcript: Transcript
    reused: bool
    staged_at: datetime | None = None
    peer: str = ""
    tls: str = ""


async def attempt(lane: Lane, claim: Claim) -> None:
    """Try the claim's deliveries and record what became of them.

    Raises:
        Stale: the lane is somebody else's; nothing was written.
    """
    started_at = lane.engine.now()
    try:
        content = await lane.engine.threads.run(contents.rendered, claim.message_id, claim.route)
    except contents.ContentGone:
        await lane.engine.threads.run(queue.refuse_gone, lane.lease, claim, started_at)
        return
    tried = await _try(lane, claim, content, fresh=False)
    judged = _judge(lane, claim, tried, retried=False)
    if any(_wants_new_session(one) for one in judged):
        tried = await _try(lane, claim, content, fresh=True)
        judged = _judge(lane, claim, tried, retried=True)
    await _record(lane, claim, tried, judged, started_at)


async def _try(lane: Lane, claim: Claim, content: bytes, *, fresh: bool) -> _Tried:
    envelope = _envelope(claim)
    session = None if fresh else lane.borrow()
    reused = session is not None
    try:
        session = session or await open_session(lane.hop, lane.engine.network, lane.engine.timeouts)
    except SessionFailed as failed:
        return _Tried(_all(envelope, failed.trouble), failed.transcript, reused=False)
    staged_at: list[datetime] = []

    async def stage(taken: tuple[Mailbox, ...]) -> None:
        staged_at.append(await _stage(lane, claim, frozenset(mailbox.wire for mailbox in taken)))

    try:
        result = await transact(session, envelope, content, stage)
    finally:
        # Cancelled or not, the pool takes back only what is beyond doubt.
        await lane.give_back(session)
    transcript = session.transcript if not reused else result.steps
    return _Tried(
        result.outcomes, transcript, reused, staged_at[0] if staged_at else None, session.peer, _tls(session)
    )


def _envelope(claim: Claim) -> Envelope:
    path = claim.route["reverse_path"]
    recipients = tuple(Mailbox.parse(duty.recipient) for duty in claim.duties)
    return Envelope(None if path is None else Mailbox.parse(path), recipients)


def _all(envelope: Envelope, trouble: Trouble) -> tuple[Outcome, ...]:
    return tuple(Outcome(recipient, trouble.reply, trouble) for recipient in envelope.recipients)


def _tls(session: Session) -> str:
    return "" if session.tls is None else session.tls.version


async def _stage(lane: Lane, claim: Claim, taken: frozenset[str]) -> datetime:
    """The mark before the dot, or `StageRefused`."""
    now = lane.engine.now()
    try:
        await lane.engine.threads.run(queue.stage, lane.lease, claim, now, taken)
    except Stale as stale:
        raise StageRefused(str(stale)) from None
    except (DatabaseError, *AWAY) as error:
        # No dot is sent while results cannot be recorded.
        raise StageRefused(str(error)) from None
    if not lane.lease_is_ours():
        raise StageRefused("the lease may be lost")
    return now


def _judge(lane: Lane, claim: Claim, tried: _Tried, *, retried: bool) -> tuple[Judged, ...]:
    pairs = zip(claim.duties, tried.outcomes, strict=True)
    return tuple(_judge_one(lane, claim, tried, duty, outcome, retried=retried) for duty, outcome in pairs)


def _judge_one(  # noqa: PLR0913  everything a case is made of
    lane: Lane, claim: Claim, tried: _Tried, duty: Duty, outcome: Outcome, *, retried: bool
) -> Judged:
    domain = outcome.recipient.domain_ascii
    if outcome.trouble is None:
        lane.domains_refused.clear()
        return Judged(duty, outcome.reply, None, None)
    case = Case(
        trouble=outcome.trouble,
        after_dot=outcome.after_dot,
        reused_first_reply=tried.reused and outcome.trouble.phase in {Phase.MAIL, Phase.RSET},
        accepted_before=outcome.accepted_before,
        recipient_domains_refused_running=len(lane.domains_refused | {domain}),
        broken_running=lane.facts.health.broken_running + 1,
        null_reverse_path=claim.route["reverse_path"] is None,
        has_been_retried_on_new_session=retried,
        sender_needs_smtputf8=lane.hop.sender.needs_smtputf8,
    )
    judgement = judge(case)
    if judgement.why in {Why.ACCESS_DENIED, Why.ACCESS_DENIED_ONCE}:
        lane.domains_refused.add(domain)
    return Judged(duty, outcome.reply, outcome.trouble, judgement, lane.engine.jitter())


def _wants_new_session(judged: Judged) -> bool:
    return judged.judgement is not None and judged.judgement.delivery is Fate.AT_ONCE_NEW_SESSION


async def _record(
    lane: Lane, claim: Claim, tried: _Tried, judged: tuple[Judged, ...], started_at: datetime
) -> None:
    now = lane.engine.now()
    health = next_health(lane.facts.health, judged, now, lane.engine.backoff)
    report = Report(
        claim=claim,
        started_at=started_at,
        staged_at=tried.staged_at,
        connection_version=lane.facts.version,
        peer=tried.peer,
        tls=tried.tls,
        steps=[step.as_json() for step in tried.transcript],
        settlements=tuple(settlement(one, lane.engine.schedule, now) for one in judged),
        health=health,
    )
    if health is not None:
        # Before the record, which takes a while: another attempt of the lane that ends meanwhile counts on.
        lane.facts = replace(lane.facts, health=health)
    await _until_recorded(lane, report, now)
    if health is not None:
        log.info(
            "connection_health", connection=lane.facts.connection_id, state=health.state.value, why=health.why
        )
    _tell(lane, report)


async def _until_recorded(lane: Lane, report: Report, now: datetime) -> None:
    """Record, however long the database is away: what a server accepted must not be forgotten (D6).

    Any other refusal of the database ends the attempt: trying again would be for ever. That also meets a
    record whose commit went through unseen, since an attempt is kept once.
    """
    for pause in _pauses():
        try:
            await asyncio.shield(lane.engine.threads.run(queue.settle, lane.lease, report, now))
        except AWAY as error:
            log.warning(
                "result_not_recorded", connection=lane.facts.connection_id, error=type(error).__name__
            )
            await asyncio.sleep(pause)
        else:
            return


def _pauses() -> Iterator[float]:
    yield from _RECORD_PAUSES
    while True:
        yield _RECORD_PAUSES[-1]


def _tell(lane: Lane, report: Report) -> None:
    for settled in report.settlements:
        log.info(
            "attempt_finished",
            delivery=settled.delivery,
            connection=lane.facts.connection_id,
            outcome=settled.state.value,
            why=None if settled.trouble is None else settled.trouble["why"],
        )
