"""The addresses that mail leaves from, to be put on a mail server's whitelist.

Empty until the operator sets them: addresses of somebody else's servers must never be shown to a newcomer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from ipaddress import ip_address
from typing import Any

from django.utils import timezone

from vaguemestre.ledger import journal, sightings
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import Instance, Sighting, SourceAddress, Verification
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import display_name
from vaguemestre.policy.export import Form, exported

MOST = 100
FIELDS = ("address", "label", "valid_from", "valid_until")


def listed() -> list[SourceAddress]:
    """The list, in the operator's order."""
    return list(SourceAddress.objects.order_by("position"))


def observed() -> list[str]:
    """Addresses that servers said they saw us come from, the latest first."""
    tried = Verification.objects.filter(connection=None).exclude(seen_address="")
    seen = [*sightings.all_of().values_list("last_seen_at", "address")[:MOST]]
    seen += tried.values_list("at", "seen_address").order_by("-at")[:MOST]
    return list(dict.fromkeys(address for _at, address in sorted(seen, reverse=True)))


def resource() -> dict[str, Any]:
    """The list as the API shows it, and what servers saw."""
    seen = list(sightings.all_of())
    last = {one.address: one.last_seen_at for one in reversed(seen)}
    items = [
        {
            "address": row.address,
            "label": row.label,
            "valid_from": row.valid_from,
            "valid_until": row.valid_until,
            "last_seen_at": last.get(row.address),
        }
        for row in listed()
    ]
    return {"items": items, "observed": observed(), "sightings": _sightings(seen)}


def _sightings(seen: Iterable[Sighting]) -> list[dict[str, Any]]:
    entries, today = sightings.entries(), timezone.now().date()
    return [
        {
            "id": one.pk,
            "connection": str(one.connection.uid),
            "connection_name": one.connection.name,
            "address": one.address,
            "standing": sightings.standing_of(one, entries, today).value,
            "first_seen_at": one.first_seen_at,
            "last_seen_at": one.last_seen_at,
        }
        for one in seen
    ]


def export(form: str, today: date) -> dict[str, str]:
    """The list in that form, as of that day.

    Raises:
        Refusal: there is no such form.
    """
    if form not in {*Form}:
        message = f"Choose one of {', '.join(Form)}."
        raise Refusal(Invalid("format", "form_unknown", message))
    return {"format": form, "text": exported(Form(form), sightings.entries(), today)}


def announce(address: str, changes: Mapping[str, object], actor: str, now: datetime) -> list[SourceAddress]:
    """Give an address of the list other days or another label, or add it with them.

    Raises:
        Refusal: as `replace` does.
    """
    with writing():
        lock(CONFIGURATION_LOCK)  # what another one adds meanwhile stays
        items: list[dict[str, object]] = [{name: getattr(row, name) for name in FIELDS} for row in listed()]
        named = next((item for item in items if item["address"] == address), None)
        if named is None:
            named = {"address": address}
            items.append(named)
        named.update(changes)
        return replace(items, actor, now)


def replace(items: Iterable[Mapping[str, object]], actor: str, now: datetime) -> list[SourceAddress]:
    """Replace the list.

    Raises:
        Refusal: an entry is no IP address, or is there twice.
    """
    rows = [_row(item, position) for position, item in enumerate(items)]
    _refuse_doubles(rows)
    with writing():
        lock(CONFIGURATION_LOCK)
        before = [row.address for row in listed()]
        SourceAddress.objects.all().delete()
        SourceAddress.objects.bulk_create(rows)
        Sighting.objects.filter(address__in=[row.address for row in rows]).update(alarmed_at=None)
        Instance.objects.update(source_addresses_seeded=True)
        changes = {"addresses": [before, [row.address for row in rows]]}
        journal.record("source_addresses", "instance", "replaced", actor, now, changes)
    return listed()


def seed(addresses: Iterable[str], now: datetime) -> None:
    """The first value, from the environment; later the list is the operator's alone."""
    wanted = list(dict.fromkeys(addresses))
    if not wanted or _seeded():
        return
    with writing():
        lock(CONFIGURATION_LOCK)
        if not _seeded():
            replace([{"address": address} for address in wanted], "environment", now)


def _seeded() -> bool:
    return Instance.objects.values_list("source_addresses_seeded", flat=True).get()


def _row(item: Mapping[str, object], position: int) -> SourceAddress:
    within = f"items[{position}]"
    if not isinstance(item, Mapping) or not item.keys() <= {*FIELDS, "last_seen_at"}:
        message = "An object with address, label, valid_from and valid_until is needed."
        raise Refusal(Invalid(within, "not_object", message))
    try:
        row = SourceAddress(
            address=_address(item.get("address"), f"{within}.address"),
            label=_label(item.get("label"), f"{within}.label"),
            valid_from=_day(item.get("valid_from"), f"{within}.valid_from"),
            valid_until=_day(item.get("valid_until"), f"{within}.valid_until"),
            position=position,
        )
    except Invalid as fault:
        raise Refusal(fault) from None
    if row.valid_from and row.valid_until and row.valid_until < row.valid_from:
        message = "The last day lies before the first."
        raise Refusal(Invalid(f"{within}.valid_until", "days_order", message))
    return row


def _address(value: object, field: str) -> str:
    try:
        return str(ip_address(str(value or "")))
    except ValueError:
        raise Invalid(field, "ip_syntax", "This is not an IP address.") from None


def _label(value: object, field: str) -> str:
    if not isinstance(value or "", str):
        raise Invalid(field, "not_text", "Text is needed here.")
    return display_name(str(value or ""), field)


def _day(value: object, field: str) -> date | None:
    """A day as `2026-12-31`, or None."""
    if value is None or value == "":
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
    except ValueError:
        raise Invalid(field, "day_syntax", "Write the day like 2026-12-31.") from None


def _refuse_doubles(rows: list[SourceAddress]) -> None:
    seen: set[str] = set()
    for position, row in enumerate(rows):
        if row.address in seen:
            message = f"{row.address} is in the list twice."
            raise Refusal(Invalid(f"items[{position}].address", "address_twice", message))
        seen.add(row.address)
    if len(rows) > MOST:
        raise Refusal(Invalid("items", "too_many", f"The list holds at most {MOST} addresses."))
