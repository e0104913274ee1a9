"""How often a form may be used: counted in the database, so that the limits hold for every web process.

Each use is kept with its time, so that a limit holds in every hour, whenever it begins. Whoever asks holds
the form's row: the counts are exact. Network addresses and typed ones are kept as keyed digests only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address

from django.utils.crypto import salted_hmac

from vaguemestre.ledger.models import Form, FormUse

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REPLIES = 3  # in a day, to one typed address: nobody's mailbox is flooded through a form
WITHOUT_TOKEN = 3  # a page that was not fetched first gets this part of what an address may send
ALL = "all"


class TooMany(Exception):
    """The form has taken what it takes, from this address or in all."""


def refuse_full(form: Form, address: str, now: datetime, *, token: bool) -> None:
    """Look without counting, so that a flood is refused before anything is written for it.

    Raises:
        TooMany: a limit is reached.
    """
    if any(_full(form, name, most, HOUR, now) for name, most in _limits(form, address, token=token)):
        raise TooMany


def admit(form: Form, address: str, now: datetime, *, token: bool) -> None:
    """Count a submission.

    Raises:
        TooMany: a limit is reached; nothing is counted once the transaction is undone.
    """
    limits = _limits(form, address, token=token)
    if not all(_count(form, name, most, HOUR, now) for name, most in limits):
        raise TooMany


def may_reply(form: Form, typed: str, now: datetime) -> bool:
    """Count a reply to a typed address, if there is room for one."""
    return _count(form, bucket("to", typed), REPLIES, DAY, now)


def forget(now: datetime) -> None:
    """Drop what no limit counts any more."""
    FormUse.objects.filter(at__lte=now - DAY).delete()


def bucket(kind: str, text: str) -> str:
    """Under which an address is counted."""
    return salted_hmac(f"vaguemestre.form.{kind}", text, algorithm="sha256").hexdigest()


def network(address: str) -> str:
    """What one visitor has: an IPv4 address, or the 64 bits of IPv6 that a line comes with."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped is not None or found.version == 4:
        return str(mapped or found)
    return found.exploded[:19]


def _limits(form: Form, address: str, *, token: bool) -> tuple[tuple[str, int], ...]:
    most = form.per_address if token else max(1, form.per_address // WITHOUT_TOKEN)
    return (bucket("from", network(address)), most), (ALL, form.per_hour)


def _full(form: Form, name: str, most: int, span: timedelta, now: datetime) -> bool:
    used = FormUse.objects.filter(form=form, bucket=name, at__gt=now - span)
    return used.order_by("-at")[most - 1 : most].exists()


def _count(form: Form, name: str, most: int, span: timedelta, now: datetime) -> bool:
    if _full(form, name, most, span, now):
        return False
    FormUse.objects.create(form=form, bucket=name, at=now)
    return True
