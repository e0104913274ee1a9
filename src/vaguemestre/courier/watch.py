"""What the worker looks after besides its lanes: backups, what waits for people, addresses, certificates,
quotas, delays, notifications, forgotten passwords and the weekly report.

All but the last four end in alerts that do not depend on mail. The ledger keeps what was told: one courier
tells it, and no restart tells it again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import structlog

from vaguemestre.courier.alert_wording import Alert
from vaguemestre.courier.engine import Engine
from vaguemestre.ledger import (
    backups,
    delays,
    dsn,
    figures,
    quotas,
    renewals,
    report_schedule,
    sightings,
    unattended,
)
from vaguemestre.ledger.backups import Pair
from vaguemestre.ledger.figures import Day
from vaguemestre.ledger.models import PasswordAsk
from vaguemestre.ledger.report_schedule import Due
from vaguemestre.policy.alerting import AlertKind
from vaguemestre.policy.reporting import days_before

if TYPE_CHECKING:
    from vaguemestre.ledger.weekly import Sent

ROUNDS = 5  # of notifications at one look: a flood of refusals must not keep leases from renewal

log = structlog.get_logger("courier")


class Watch:
    """See the module."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._standing_in: frozenset[int] | None = None  # connections that backups stand in for, once known
        self._counted: tuple[Day, ...] = ()  # of the weekly report that is due
        self._zone: tzinfo | None = None  # in which they were

    async def backups(self, now: datetime) -> None:
        """Move what backups are to carry, and tell which begin or end to stand in."""
        pairs = await self._engine.threads.run(backups.concerned)
        for pair in pairs:
            while await self._engine.threads.run(backups.move, pair, now) == backups.BATCH:
                pass
        await self._tell_backups([pair for pair in pairs if pair.in_use(now)])

    async def _tell_backups(self, pairs: Sequence[Pair]) -> None:
        if not pairs and self._standing_in == frozenset():
            return
        for pair in await self._engine.threads.run(backups.take_begun, pairs):
            first, backup = pair.first.pk, "" if pair.backup is None else pair.backup.name
            log.warning("backup_in_use", connection=first, backup=backup)
            self._engine.alerts.tell(Alert(AlertKind.BACKUP_IN_USE, first, backup=backup))
        before, self._standing_in = self._standing_in, frozenset(pair.first.pk for pair in pairs)
        for first in (before or frozenset()) - self._standing_in:
            log.info("backup_over", connection=first)

    async def people(self) -> None:
        """Tell what has come to wait for a person."""
        held = await self._engine.threads.run(unattended.take_held)
        if held is not None:
            self._engine.alerts.tell(Alert(AlertKind.MESSAGE_HELD, reason=held.reason, message=held.message))
        doubt = await self._engine.threads.run(unattended.take_doubt)
        if doubt is not None:
            alert = Alert(AlertKind.IN_DOUBT_WAITS, doubt.connection_id, message=doubt.message)
            self._engine.alerts.tell(alert)

    async def addresses(self, now: datetime) -> None:
        """Tell where servers saw us come from, if that is not on the list."""
        for alarm in await self._engine.threads.run(sightings.take_alarms, now):
            alert = Alert(AlertKind.ADDRESS_UNLISTED, alarm.connection_id, addresses=alarm.addresses)
            self._engine.alerts.tell(alert)

    async def certificates(self, among: Collection[int], now: datetime) -> None:
        """Tell which of their servers' certificates end soon, at each step (`policy.expiry`)."""
        for one in await self._engine.threads.run(renewals.take_notices, among, now):
            facts = {"expires_at": one.ends_at.isoformat()}
            alert = Alert(AlertKind.CERTIFICATE_EXPIRES, one.connection.pk, facts=facts)
            self._engine.alerts.tell(alert)

    async def quotas(self, now: datetime) -> None:
        """Tell which connections come near their limit for a day; again only after they were away from it."""
        for one in await self._engine.threads.run(quotas.take_near, now):
            facts = {"used": str(one.used), "limit": str(one.limit)}
            self._engine.alerts.tell(Alert(AlertKind.QUOTA_NEAR, one.connection.pk, facts=facts))

    async def delays(self, now: datetime) -> bool:
        """Tell of what is late on its time line; the answer is whether there may be more."""
        found = await self._engine.threads.run(delays.look, now, self._engine.schedule)
        if found.told:
            log.info("deliveries_late", deliveries=found.told)
        return found.more

    async def notifications(self, now: datetime) -> None:
        """Report the ends and delays of deliveries to whoever their messages came from."""
        reported = 0
        for _ in range(ROUNDS):
            reported += (done := await self._engine.threads.run(dsn.send, now))
            if done < dsn.BATCH:
                break
        if reported:
            log.info("dsn_sent", messages=reported)
            self._engine.wake()

    async def passwords(self, now: datetime) -> None:
        """Send links to those who forgot their password."""
        if await self._engine.threads.run(_answer_asks, now):
            self._engine.wake()

    async def weekly_report(self, now: datetime) -> bool:
        """Hand the weekly report over where it is due: by one of the couriers, once.

        One day of it is counted at each call, since leases are renewed between two of them, and a million
        messages may take as long as a lease lives. The answer is whether there is more to count.
        """
        run = self._engine.threads.run
        due = await run(report_schedule.due, now)
        if due is None:
            self._counted = ()
            return False
        wanted = days_before(due.day)
        if self._zone != due.zone or (self._counted and self._counted[0].day != wanted[0]):
            self._counted, self._zone = (), due.zone
        if len(self._counted) < len(wanted):
            day = await run(figures.of_day, wanted[len(self._counted)], due.zone)
            self._counted = (*self._counted, day)
            return True
        days, self._counted = self._counted, ()
        sent = await run(_send_weekly, due, days, now)
        if sent is not None:
            self._tell_weekly(due, sent)
        return False

    def _tell_weekly(self, due: Due, sent: Sent) -> None:
        log.info("weekly_report_sent", day=due.day.isoformat(), message=str(sent.message.uid))
        if sent.refusal is not None:
            log.warning("template_not_used", template=sent.template, why=str(sent.refusal))
            facts = {"template": sent.template, "language": due.language}
            self._engine.alerts.tell(Alert(AlertKind.TEMPLATE_UNUSABLE, facts=facts))
        self._engine.wake()


# Templates and sign-in take 10 MiB of memory, for which a courier has no use before somebody asks.


def _answer_asks(now: datetime) -> int:
    if not PasswordAsk.objects.exists():
        return 0
    from vaguemestre.ledger import passwords  # noqa: PLC0415

    return passwords.answer(now)


def _send_weekly(due: Due, days: Sequence[Day], now: datetime) -> Sent | None:
    from vaguemestre.ledger import weekly  # noqa: PLC0415

    return weekly.send_due(due, days, now)
