"""A lane's messages on one session: the courier's side of a window (`smtp.window.Flow`).

It hands attempts to the session, has their ends of data marked before they go out (L6), judges what became of
them and has it recorded. Nothing goes out without a lease that is still ours on a clock that counts
suspension. A fault of ours in the middle (`break_off`) ends every attempt that is on the session: deferred
and counted, or in doubt where it was staged.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from vaguemestre.courier.attempt import (
    Attempt,
    Tried,
    accepted,
    breaks,
    closes,
    judged,
    poisoned,
    report,
    tried_on,
    wants_new_session,
)
from vaguemestre.ledger import recovery
from vaguemestre.ledger.claims import Claim, Mark, Stale
from vaguemestre.ledger.contents import ContentGone
from vaguemestre.ledger.database import AWAY
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Phase
from vaguemestre.policy.manner import Sign, gravest, sign_of
from vaguemestre.smtp.flow import Message, StageRefused
from vaguemestre.smtp.outcome import Result
from vaguemestre.smtp.session import Session

if TYPE_CHECKING:
    from vaguemestre.courier.lane import Lane

log = structlog.get_logger("courier")


class Carriage:
    """See the module."""

    def __init__(self, lane: Lane, session: Session, first: Attempt) -> None:
        self._lane = lane
        self._session = session
        self._ahead: list[Attempt] = [first]
        self._back: list[Attempt] = []
        self._fresh = session.transactions == 0
        self._on_it: dict[Message, Attempt] = {}
        self._signs: list[Sign] = []
        self._wanted = self._manner = lane.ladder.manner
        self._broken = self._spent = self._took = False
        self._carried = session.transactions
        self._began_at = lane.engine.now()
        self._version = lane.facts.version

    async def next(self) -> Message | None:
        """The next message for this session; None when it, or the lane, has done enough."""
        while attempt := self._pulled():
            message = await self._message(attempt)
            if message is not None:
                self._on_it[message] = attempt
                return message
        return None

    def _pulled(self) -> Attempt | None:
        """The next attempt, unless the session did enough or is not what the lane would open now."""
        lane, hop = self._lane, self._session.hop
        full = self._carried >= lane.engine.pool.transaction_limit
        another = hop is not lane.hop and hop != lane.hop  # mostly the very same
        if self._spent or full or another or lane.ladder.manner is not self._wanted:
            return None
        if self._ahead and not lane.may_begin():
            return None
        attempt = self._ahead.pop() if self._ahead else lane.pull(fresh=self._fresh)
        self._carried += attempt is not None
        return attempt

    async def _message(self, attempt: Attempt) -> Message | None:
        lane = self._lane
        try:
            try:
                return await attempt.message(lane)
            except ContentGone:
                now = lane.engine.now()
                await lane.engine.threads.run(recovery.refuse_gone, lane.lease, attempt.claim, now)
        except asyncio.CancelledError:
            self._back.append(attempt)  # it is in nobody's hands yet
            raise
        except (Stale, *AWAY):
            lane.stale = True
            raise
        except Exception:
            log.exception("message_unreadable", message=attempt.claim.message_id)
            self._lane.settle(poisoned(lane, attempt))
        return None

    async def stage(self, taken: Sequence[tuple[Message, tuple[Mailbox, ...]]]) -> Sequence[bool]:
        """Have the ends of data marked, all in one commit."""
        lane, now = self._lane, self._lane.engine.now()
        if lane.engine.ends_too_soon():
            raise StageRefused("the courier ends before the server may have answered")
        marks = [_mark(self._on_it[message].claim, recipients) for message, recipients in taken]
        granted = await lane.engine.recorder.stage(lane, marks)
        for number, (message, _) in enumerate(taken):
            if granted[number]:
                self._on_it[message].staged_at = now
        if lane.stale or not lane.engine.leases_hold():
            # Marked all the same, and reported so: whoever has the lane by then is told that no dot went out.
            raise StageRefused("the lease may be lost")
        return granted

    def settled(self, message: Message, result: Result) -> None:
        """What became of a message: recorded, or tried once more at once."""
        lane, attempt = self._lane, self._on_it[message]
        tried = tried_on(self._session, result)
        self._manner = result.manner
        if not (tried.accepted and lane.facts.health.ordinary):
            self._judge(message, result, tried)
            return
        self._took = True
        done = accepted(lane, attempt, tried)
        del self._on_it[message]
        lane.settle(done)

    def _judge(self, message: Message, result: Result, tried: Tried) -> None:
        """The same where somebody did not get it, or the connection's health is to recover."""
        lane, attempt = self._lane, self._on_it[message]
        found = judged(lane, attempt, tried, after_others=self._took)
        self._took = self._took or any(outcome.accepted for outcome in result.outcomes)
        self._learn(result, reused=tried.reused)
        if closes(found):
            # Though it may still speak: what is tried again, and all else, goes on another one.
            self._session.retired = True
            self._spent = True
        if wants_new_session(found):
            attempt.retried = True
            self.returned(message)
            return
        # A session that breaks is one broken dialogue, however many transactions were in flight on it.
        done = report(lane, attempt, tried, found, noted=self._broken)
        del self._on_it[message]
        lane.settle(done)
        self._broken = self._broken or any(map(breaks, found))

    def returned(self, message: Message) -> None:
        """It was never offered, for a fault that was not its own: what was marked of it did not go out."""
        attempt = self._on_it.pop(message)
        attempt.staged_at = None
        self._back.append(attempt)

    def failed(self, message: Message) -> None:
        """A fault of ours, with this one alone."""
        if isinstance(sys.exception(), AWAY):
            self._lane.stale = True
            self.returned(message)
            return
        claim = self._on_it[message].claim
        log.error("message_failed", message=claim.message_id, exc_info=True)  # noqa: LOG014  one is handled
        self._lane.settle(poisoned(self._lane, self._on_it.pop(message)))

    def break_off(self) -> None:
        """A fault of ours ended the session."""
        for attempt in self._on_it.values():
            self._lane.settle(poisoned(self._lane, attempt))
        self._on_it = {}

    def end(self) -> None:
        """The session was given back: the lane learns what it told of the manner, and gets the rest back.

        After a cancellation that may be what was marked: doubtful then, it goes nowhere but to the ledger.
        """
        for attempt in reversed((*self._back, *self._on_it.values(), *self._ahead)):
            self._lane.return_to_front(attempt)
        self._ahead, self._back, self._on_it = [], [], {}
        signs = [*self._signs, Sign.GOOD] if self._took else self._signs
        self._teach(gravest(signs))

    def _learn(self, result: Result, *, reused: bool) -> None:
        for outcome in result.outcomes:
            trouble = outcome.trouble
            over = reused and trouble is not None and trouble.phase in {Phase.MAIL, Phase.RSET}
            sign = sign_of(trouble, result.manner, reused_first_reply=over)
            if sign is Sign.REFUSED:
                # At once: what is tried again now goes out in the manner below.
                self._teach(sign)
            else:
                self._signs.append(sign)

    def _teach(self, sign: Sign) -> None:
        """Have the lane learn it, unless its settings are others by now: it may be another server's sign."""
        if self._version == self._lane.facts.version:
            self._lane.learn(sign, self._manner, self._began_at)


def _mark(claim: Claim, reached: Sequence[Mailbox]) -> Mark:
    """The mark of a claim whose end of data reaches these recipients."""
    whole = len(reached) == len(claim.duties)
    return claim.mark(None if whole else frozenset(mailbox.wire for mailbox in reached))
