"""Verifications renewed in the background: one at a time, of the connections whose lanes this courier serves.

A renewal is the verification that a person would ask for, but for the mechanism, which stays the one that
deliveries sign in with. What it found is kept as any other. One that failed is told by an alert that does not
depend on mail, and tried again every hour until it succeeds, which is told too; it changes no health: what
refuses a delivery is for the delivery to find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime

import structlog

from vaguemestre.courier.alert_wording import Alert
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.tokens import token_refused, with_fresh_token, with_token
from vaguemestre.ledger import renewals, verifications
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.renewals import Due
from vaguemestre.ledger.typed import Draft
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.transcript import Step
from vaguemestre.policy.alerting import AlertKind
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.session import SessionFailed
from vaguemestre.verification.climb import Climb
from vaguemestre.verification.outcome import Outcome, outcome_of, record_of
from vaguemestre.verification.probe import TIMEOUTS, WITHIN

log = structlog.get_logger("courier")


class Renewal:
    """See the module."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: asyncio.Task[None] | None = None

    async def look(self, among: Collection[int], now: datetime) -> None:
        """Begin the next renewal that is due, unless one is under way."""
        if self._running is not None and not self._running.done():
            return
        due = await self._engine.threads.run(renewals.next_due, among, now)
        self._running = None if due is None else asyncio.create_task(self._renew(due))

    async def close(self) -> None:
        """Break off what is under way; nothing is kept of it."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=2)

    async def _renew(self, due: Due) -> None:
        try:
            await self._keep(due, await self._verified(due.draft, due.connection.pk))
        except AWAY as error:
            log.warning("database_away", at="renewal", error=type(error).__name__)
        except Exception:
            log.exception("renewal_failed", connection=due.connection.pk)

    async def _verified(self, draft: Draft, number: int) -> Outcome:
        """As a session of a delivery would be opened: a refused token is refreshed, once."""
        tokens, climb = self._engine.tokens, self._climb(draft.hop)
        try:
            hop = await with_token(number, draft.hop, tokens)
            climb = self._climb(hop)
            trouble = await climb.run()
            if trouble is not None and hop.auth is AuthKind.OAUTH2 and token_refused(trouble):
                hop = await with_fresh_token(number, hop, tokens)
                climb = self._climb(hop)
                trouble = await climb.run()
        except SessionFailed as failed:
            trouble = failed.trouble
        return outcome_of(climb, trouble, self._engine.now())

    def _climb(self, hop: NextHop) -> Climb:
        return Climb(hop, self._engine.network, TIMEOUTS, WITHIN, observe=_unwatched)

    async def _keep(self, due: Due, outcome: Outcome) -> None:
        """Tell it, and write it down: in this order, or a stop in between would have it told by nobody."""
        record, now, number = record_of(outcome, due.draft.hop), self._engine.now(), due.connection.pk
        decisive = record.findings[0]
        # Told when it begins and when it is over, however often it is tried in between.
        if not (outcome.ok or due.failed):
            self._engine.alerts.tell(Alert(AlertKind.VERIFICATION_FAILED, number, finding=decisive))
        elif outcome.ok and due.failed:
            self._engine.alerts.tell(Alert(AlertKind.CONNECTION_RECOVERED, number))
        await self._engine.threads.run(verifications.keep, due.draft.fingerprint, due.connection, record, now)
        log.info("verification_renewed", connection=number, ok=outcome.ok, finding=decisive["code"])


def _unwatched(step: Step) -> None:
    """Nobody waits for the steps of a renewal."""
