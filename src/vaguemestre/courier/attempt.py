"""One try at the deliveries of a claim: what leaves, what became of it, what is reported.

An `Attempt` goes from the lane's queue into a session and ends in a `Report`, once. Judging is `policy`'s,
the decisions that follow are `settling`'s; nothing here waits for anything but the content.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from vaguemestre.courier.settling import Judged, next_health, our_fault, settlement
from vaguemestre.courier.streaming import Stored
from vaguemestre.ledger import contents
from vaguemestre.ledger.claims import Claim, Duty, Report, Settlement
from vaguemestre.ledger.contents import ContentGone, Departing
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Phase, Trouble
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.transcript import Transcript
from vaguemestre.mail.value import value
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.judgement import Case, Fate, HealthChange, SessionFate, Why
from vaguemestre.policy.verdict import judge
from vaguemestre.smtp.body import Body, Held
from vaguemestre.smtp.flow import Message
from vaguemestre.smtp.outcome import Outcome, Result
from vaguemestre.smtp.session import Session

if TYPE_CHECKING:
    from vaguemestre.courier.lane import Lane

_OFFERED = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})


@dataclass(eq=False)
class Attempt:
    """See the module.

    Attributes:
        departing: what leaves, once it was read.
        started_at: when it left the lane's supply.
        retried: whether it was begun on a session that turned out to be over (row 2): once, then it counts.
        version: of the connection's settings then.
        staged_at: when its end of data was marked.
    """

    claim: Claim
    departing: Departing = None
    retried: bool = False
    started_at: datetime | None = None
    version: int = 0
    staged_at: datetime | None = None

    async def message(self, lane: Lane) -> Message:
        """What a session hands over.

        Raises:
            ContentGone: retention removed the content.
        """
        if self.departing is None:
            read = await lane.engine.threads.run(contents.departing, [self.claim])
            self.departing = read[self.claim.attempt]
        match self.departing:
            case bytes():
                body: Body = Held(self.departing)
            case None:
                raise ContentGone
            case outline:
                body = await Stored.scanned(lane.engine.threads, outline)
        return Message(_envelope(self.claim), body, self.claim.alone)


@value
class Tried:
    """What one transaction, or the failure to open a session for it, brought."""

    outcomes: tuple[Outcome, ...]
    transcript: Transcript
    reused: bool = False
    peer: str = ""
    tls: str = ""

    @property
    def accepted(self) -> bool:
        """Whether every recipient got it."""
        return not [outcome for outcome in self.outcomes if outcome.trouble is not None]


def unopened(claim: Claim, trouble: Trouble, transcript: Transcript) -> Tried:
    """No session came to be: its trouble is every recipient's."""
    recipients = _envelope(claim).recipients
    return Tried(tuple(Outcome(recipient, trouble.reply, trouble) for recipient in recipients), transcript)


def tried_on(session: Session, result: Result) -> Tried:
    """What a transaction on a session brought; the session's first has the opening in its transcript."""
    transcript = (*session.opening, *result.steps) if result.first else result.steps
    tls = "" if session.tls is None else session.tls.version
    return Tried(result.outcomes, transcript, not result.first, session.peer, tls)


def judged(lane: Lane, attempt: Attempt, tried: Tried, *, after_others: bool = False) -> tuple[Judged, ...]:
    """Each delivery with its outcome and what the failure table says of it.

    Args:
        lane: whose.
        attempt: of the claim.
        tried: what it brought.
        after_others: whether the session had mail accepted before: an attempt that was begun anew on it is
            then no second try on a new session, and each round still gets some mail away.
    """
    retried = attempt.retried and not after_others
    pairs = zip(attempt.claim.duties, tried.outcomes, strict=True)
    return tuple(_judged(lane, attempt, tried, duty, outcome, retried=retried) for duty, outcome in pairs)


def _judged(  # noqa: PLR0913  everything a case is made of
    lane: Lane, attempt: Attempt, tried: Tried, duty: Duty, outcome: Outcome, *, retried: bool
) -> Judged:
    if outcome.trouble is None:
        lane.domains_refused.clear()
        return Judged(duty, outcome.reply, None, None)
    domain = outcome.recipient.domain_ascii
    case = Case(
        trouble=outcome.trouble,
        after_dot=outcome.after_dot,
        reused_first_reply=tried.reused and outcome.trouble.phase in {Phase.MAIL, Phase.RSET},
        accepted_before=outcome.accepted_before,
        recipient_domains_refused_running=len(lane.domains_refused | {domain}),
        broken_running=lane.facts.health.broken_running + 1,
        null_reverse_path=attempt.claim.route["reverse_path"] is None,
        has_been_retried_on_new_session=retried,
        sender_needs_smtputf8=lane.hop.sender.needs_smtputf8,
    )
    judgement = judge(case)
    if judgement.why in {Why.ACCESS_DENIED, Why.ACCESS_DENIED_ONCE}:
        lane.domains_refused.add(domain)
    return Judged(duty, outcome.reply, outcome.trouble, judgement, lane.engine.jitter())


def wants_new_session(found: tuple[Judged, ...]) -> bool:
    """Whether it is to be tried at once, once more: as a whole, or else some would get it twice."""
    return all(
        one.judgement is not None and one.judgement.delivery is Fate.AT_ONCE_NEW_SESSION for one in found
    )


def closes(found: tuple[Judged, ...]) -> bool:
    """Whether the session carries nothing more, for what it said of any recipient."""
    return any(one.judgement is not None and one.judgement.session is SessionFate.CLOSE for one in found)


def breaks(found: Judged) -> bool:
    """Whether a dialogue broke, to be counted for the connection."""
    judgement = found.judgement
    return judgement is not None and (
        judgement.connection is HealthChange.NOTE or judgement.why is Why.DIALOGUE_BROKEN
    )


def report(
    lane: Lane, attempt: Attempt, tried: Tried, found: tuple[Judged, ...], *, noted: bool = False
) -> Report:
    """What is recorded, with the connection's health afterwards.

    Args:
        lane: whose.
        attempt: of the claim.
        tried: what it brought.
        found: the same, judged.
        noted: whether the session's break was counted with another attempt already.
    """
    now = lane.engine.now()
    telling = tuple(one for one in found if not breaks(one)) if noted else found
    health = next_health(lane.facts.health, telling, now, lane.engine.backoff)
    if attempt.version != lane.facts.version:
        health = None  # other settings are not blamed
    settlements = tuple(settlement(one, lane.engine.schedule, now) for one in found)
    # In a window that broke, most have no step of their own: their contents left all the same.
    offered = attempt.staged_at is not None or any(step.phase in _OFFERED for step in tried.transcript)
    return _report(attempt, tried, now, settlements, health, offered=offered)


def accepted(lane: Lane, attempt: Attempt, tried: Tried) -> Report:
    """The same where everybody got it and the connection's health is ordinary, which is nearly always."""
    lane.domains_refused.clear()
    settlements = [
        Settlement(duty.id, DeliveryState.ACCEPTED, tried.outcomes[number].reply)
        for number, duty in enumerate(attempt.claim.duties)
    ]
    return _report(attempt, tried, lane.engine.now(), tuple(settlements), None, offered=True)


def poisoned(lane: Lane, attempt: Attempt) -> Report:
    """A fault of ours ended it: it waits by the retry schedule, so that it cannot loop hotly."""
    now, schedule = lane.engine.now(), lane.engine.schedule
    staged = attempt.staged_at is not None
    settlements = tuple(
        our_fault(duty, schedule, now, lane.engine.jitter(), staged=staged) for duty in attempt.claim.duties
    )
    return _report(attempt, Tried((), ()), now, settlements, None, offered=staged)


def _report(  # noqa: PLR0913  everything a report is made of
    attempt: Attempt,
    tried: Tried,
    now: datetime,
    settlements: tuple[Settlement, ...],
    health: HealthState | None,
    *,
    offered: bool,
) -> Report:
    return Report(  # by place: a call by names takes twice as long
        attempt.claim,
        attempt.started_at or now,
        attempt.staged_at,
        now,
        attempt.version,
        tried.peer,
        tried.tls,
        [step.told or step.as_json() for step in tried.transcript],
        settlements,
        health,
        offered,
    )


def _envelope(claim: Claim) -> Envelope:
    path = claim.route["reverse_path"]
    recipients = tuple([Mailbox.parse(duty.recipient) for duty in claim.duties])
    return Envelope(None if path is None else _reverse_path(path), recipients)


@lru_cache(maxsize=256)
def _reverse_path(wire: str) -> Mailbox:
    """Few senders are in use at once."""
    return Mailbox.parse(wire)
