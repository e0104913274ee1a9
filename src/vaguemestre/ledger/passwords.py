"""The links that people get by mail: to choose a first password, or a new one.

A link works once and for a day (`PASSWORD_RESET_TIMEOUT`): it is bound to the password that it replaces and
to the address. It is made with the installation's public address, never with what a request calls its host.
The message goes the way of all messages; without a route it is held, and the operator's command sets a
password on the machine itself.

Who forgot a password is a stranger so far, and must not learn whether an address is known: what they ask is
kept, and a courier answers it (`answer`). So the same work is done for every address while they wait.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings

from vaguemestre.ledger import notices
from vaguemestre.ledger.database import storable, writing
from vaguemestre.ledger.models import Message, PasswordAsk, User
from vaguemestre.ledger.refusals import Refusal

VALID = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
PRODUCT = "Vaguemestre"
CHOOSE = "/accounts/password/choose/"  # the page that a link leads to
BATCH = 20  # asks of one transaction

log = structlog.get_logger("people")


def invite(person: User, inviter: User, now: datetime) -> Message | None:
    """A first password."""
    data = {"product": PRODUCT, "inviter": inviter.email, "url": _link(person), "days": VALID.days}
    return notices.send(person, "invitation", data, now, VALID)


def ask(address: str, now: datetime) -> None:
    """Keep that somebody wants a new password for this address, known or not."""
    if storable(address):
        PasswordAsk.objects.create(address=address, at=now)


def answer(now: datetime) -> int:
    """Send a link to those of the addresses asked for that are known; the answer is how many."""
    with writing():
        asks = list(PasswordAsk.objects.select_for_update().order_by("pk")[:BATCH])
        PasswordAsk.objects.filter(pk__in=[one.pk for one in asks]).delete()
        return sum(_reset(one.address, now) for one in asks if one.at > now - VALID)


def _reset(address: str, now: datetime) -> bool:
    person = User.objects.filter(email__iexact=address, is_active=True).first()
    if person is None:
        return False
    hours = int(VALID.total_seconds() // 3600)
    data = {"url": _link(person), "hours": hours, "organisation": PRODUCT}
    try:
        return notices.send(person, "password-reset", data, now, VALID) is not None
    except Refusal as refusal:
        log.warning("password_reset_not_sent", why=str(refusal))
        return False


def _link(person: User) -> str:
    key = default_token_generator.make_token(person)
    return f"{settings.ENVIRONMENT.base_url}{CHOOSE}{user_pk_to_url_str(person)}-{key}/"
