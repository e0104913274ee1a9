"""The schedule of the weekly report: what is set, what may be set, and whether a report is due.

Off until somebody switches it on. Another day, hour or zone counts from the moment it was set: an hour that
had passed by then is not caught up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings

from vaguemestre.ledger import journal
from vaguemestre.ledger.database import lock, storable, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import ReportSchedule
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.reporting import Schedule, due_day, next_at

RECIPIENTS_LIMIT = 50
FIELDS = ("active", "recipients", "weekday", "hour", "zone", "language")
_TIMES = frozenset({"active", "weekday", "hour", "zone"})


@dataclass(frozen=True)
class Due:
    """A report that is to be sent.

    Attributes:
        day: whose report it is, in the zone.
    """

    day: date
    zone: ZoneInfo
    recipients: tuple[str, ...]
    language: str


def find() -> ReportSchedule:
    """As it is set; what stands there at first, where nobody set it."""
    return ReportSchedule.objects.select_related("message").first() or ReportSchedule()


def schedule_of(row: ReportSchedule) -> Schedule:
    """What decides when a report is due."""
    return Schedule(row.weekday, row.hour, ZoneInfo(row.zone), row.set_at, row.sent_for)


def due(now: datetime) -> Due | None:
    """The report that is to be sent now; None while none is."""
    row = ReportSchedule.objects.filter(active=True).first()
    day = None if row is None else due_day(schedule_of(row), now)
    if row is None or day is None:
        return None
    return Due(day, ZoneInfo(row.zone), tuple(row.recipients), row.language or settings.LANGUAGE_CODE)


@cache
def zones() -> tuple[str, ...]:
    """Those that people know by a place, in the order of the alphabet."""
    return tuple(sorted(name for name in available_timezones() if "/" in name and name[:4] != "Etc/"))


def change(values: Mapping[str, object], actor: str, now: datetime) -> ReportSchedule:
    """Set it anew, all fields at once.

    Raises:
        Refusal: the faults, each at its field.
    """
    clean = _parse(values)
    with writing():
        lock(CONFIGURATION_LOCK)
        row = find()
        changes = journal.difference(settings_of(row), clean)
        if row.set_at is None or not _TIMES.isdisjoint(changes):
            row.set_at = now
        for name, value in clean.items():
            setattr(row, name, value)
        row.save()
        if changes:
            journal.record("setting", "weekly_report", "changed", actor, now, changes)
    return row


def edit(values: Mapping[str, object], actor: str, now: datetime) -> ReportSchedule:
    """Set the fields that are given.

    Raises:
        Refusal: as above, and for what is no field.
    """
    unknown = [name for name in values if name not in FIELDS]
    if unknown:
        message = "The weekly report has no field {}."
        raise Refusal(*(Invalid(name, "unknown_field", message.format(name)) for name in unknown))
    with writing():
        lock(CONFIGURATION_LOCK)
        return change({**settings_of(find()), **values}, actor, now)


def settings_of(row: ReportSchedule) -> dict[str, Any]:
    """What is set, as it may be set again."""
    return {name: getattr(row, name) for name in FIELDS}


def resource(row: ReportSchedule, now: datetime) -> dict[str, Any]:
    """As the API and the command line show it."""
    return {
        **settings_of(row),
        "next_at": next_at(schedule_of(row), now) if row.active else None,
        "last_message": None if row.message is None else str(row.message.uid),
    }


def _parse(values: Mapping[str, object]) -> dict[str, object]:
    faults: list[Invalid] = []
    if not isinstance(values.get("active"), bool):
        faults.append(Invalid("active", "not_boolean", "This is either true or false."))
    recipients = _recipients(values.get("recipients"), faults)
    clean: dict[str, object] = {
        "active": values.get("active") is True,
        "recipients": recipients,
        "weekday": _number(values.get("weekday"), 6, Invalid("weekday", "weekday", _WEEKDAY), faults),
        "hour": _number(values.get("hour"), 23, Invalid("hour", "report_hour", _HOUR), faults),
        "zone": _zone(values.get("zone"), faults),
        "language": _language(values.get("language"), faults),
    }
    if clean["active"] and not recipients and not faults:
        faults.append(Invalid("recipients", "report_recipients", "Say who is to get the report."))
    if faults:
        raise Refusal(*faults)
    return clean


_WEEKDAY = "Choose a day: 0 is Monday, 6 is Sunday."
_HOUR = "An hour is a number from 0 to 23."


def _recipients(value: object, faults: list[Invalid]) -> list[str]:
    found: list[str] = []
    if not isinstance(value, list):
        faults.append(Invalid("recipients", "not_texts", "A list of texts is needed here."))
        return found
    for address in value:
        try:
            found.append(Mailbox.parse(str(address), "recipients").wire)
        except Invalid as fault:
            faults.append(fault)
    if len(found) > RECIPIENTS_LIMIT:
        message = f"A report has at most {RECIPIENTS_LIMIT} recipients."
        faults.append(Invalid("recipients", "report_recipients_many", message, {"limit": RECIPIENTS_LIMIT}))
    return list(dict.fromkeys(found))


def _number(value: object, highest: int, fault: Invalid, faults: list[Invalid]) -> int:
    text = str(value).strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 3 else -1
    if not 0 <= number <= highest:
        faults.append(fault)
    return number


def _zone(value: object, faults: list[Invalid]) -> str:
    name = str(value or "").strip()
    if not storable(name) or name not in {*zones(), "UTC"}:
        message = "There is no such time zone; one looks like Europe/Paris."
        faults.append(Invalid("zone", "zone_unknown", message))
    return name


def _language(value: object, faults: list[Invalid]) -> str:
    code = str(value or "")
    if code and code not in dict(settings.LANGUAGES):
        faults.append(Invalid("language", "language_unknown", "Choose one of the languages."))
    return code
