"""The text for whoever looks after a mail server: which addresses to allow, and what changes on which day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.utils.translation import gettext as _

from vaguemestre.ledger.days import day_text
from vaguemestre.policy.whitelist import Entry


def changes_ahead(entries: Iterable[Entry], today: date) -> bool:
    """Whether an address is announced to come or to go."""
    return any(not entry.over(today) and _dated(entry, today) for entry in entries)


def _dated(entry: Entry, today: date) -> bool:
    return not entry.begun(today) or entry.valid_until is not None


def notice(entries: Iterable[Entry], today: date) -> str:
    """A letter in the active language; "" where there is nothing to allow."""
    listed = [entry for entry in entries if not entry.over(today)]
    if not listed:
        return ""
    paragraphs = [
        _("Hello,"),
        _("Our email leaves from these addresses. Please allow them to send through our account:"),
        "\n".join(_line(entry) for entry in listed if entry.begun(today)),
        *_changes(listed, today),
        _("Thank you."),
    ]
    return "\n\n".join(filter(None, paragraphs))


def _line(entry: Entry) -> str:
    return f"  {entry.address}" + (f" ({entry.label})" if entry.label else "")


def _changes(listed: list[Entry], today: date) -> list[str]:
    coming = [
        _("From %(day)s also: %(address)s") % {"day": _day(entry.valid_from), "address": entry.address}
        for entry in listed
        if not entry.begun(today)
    ]
    going = [
        _("Until %(day)s only: %(address)s") % {"day": _day(entry.valid_until), "address": entry.address}
        for entry in listed
        if entry.valid_until is not None
    ]
    return ["\n".join(lines) for lines in (coming, going) if lines]


def _day(day: date | None) -> str:
    return "" if day is None else day_text(day)
