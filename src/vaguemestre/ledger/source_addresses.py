"""The addresses that mail leaves from, to be put on a mail server's whitelist.

Empty until the operator sets them: addresses of somebody else's servers must never be shown to a newcomer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from vaguemestre.ledger import journal
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import Instance, SourceAddress, Verification
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import display_name

MOST = 100


def listed() -> list[SourceAddress]:
    """The list, in the operator's order."""
    return list(SourceAddress.objects.order_by("position"))


def observed() -> list[str]:
    """Addresses that servers said they saw us come from, the latest first."""
    seen = (
        Verification.objects.exclude(seen_address="").order_by("-at").values_list("seen_address", flat=True)
    )
    return list(dict.fromkeys(seen[:MOST]))


def resource() -> dict[str, Any]:
    """The list as the API shows it."""
    items = [
        {"address": row.address, "label": row.label, "last_seen_at": row.last_seen_at} for row in listed()
    ]
    return {"items": items, "observed": observed()}


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
        Instance.objects.update(source_addresses_seeded=True)
        changes = {"addresses": [before, [row.address for row in rows]]}
        journal.record("source_addresses", "instance", "replaced", actor, now, changes)
    return listed()


def seed(addresses: Iterable[str], now: datetime) -> None:
    """The first value, from the environment; later the list is the operator's alone."""
    wanted = list(dict.fromkeys(addresses))
    if wanted and not Instance.objects.values_list("source_addresses_seeded", flat=True).get():
        replace([{"address": address} for address in wanted], "environment", now)


def _row(item: Mapping[str, object], position: int) -> SourceAddress:
    field = f"items[{position}].address"
    if not isinstance(item, Mapping) or not item.keys() <= {"address", "label", "last_seen_at"}:
        message = "An object with address and label is needed."
        raise Refusal(Invalid(f"items[{position}]", "not_object", message))
    if not isinstance(item.get("label") or "", str):
        raise Refusal(Invalid(f"items[{position}].label", "not_text", "Text is needed here."))
    try:
        address = str(ip_address(str(item.get("address", ""))))
    except ValueError:
        raise Refusal(Invalid(field, "ip_syntax", "This is not an IP address.")) from None
    try:
        label = display_name(str(item.get("label") or ""), f"items[{position}].label")
    except Invalid as fault:
        raise Refusal(fault) from None
    return SourceAddress(address=address, label=label, position=position)


def _refuse_doubles(rows: list[SourceAddress]) -> None:
    seen: set[str] = set()
    for position, row in enumerate(rows):
        if row.address in seen:
            message = f"{row.address} is in the list twice."
            raise Refusal(Invalid(f"items[{position}].address", "address_twice", message))
        seen.add(row.address)
    if len(rows) > MOST:
        raise Refusal(Invalid("items", "too_many", f"The list holds at most {MOST} addresses."))
