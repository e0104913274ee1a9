"""The links that people get by mail: to choose a first password, or a new one.

A link works once and for a day (`PASSWORD_RESET_TIMEOUT`): it is bound to the password that it replaces and
to the address. It is made with the installation's public address, never with what a request calls its host.
The message goes the way of all messages; without a route it is held, and the operator's command sets a
password on the machine itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.urls import reverse

from vaguemestre.ledger import notices
from vaguemestre.ledger.models import Message, User

VALID = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
PRODUCT = "Vaguemestre"


def invite(person: User, inviter: User, now: datetime) -> Message | None:
    """A first password."""
    data = {"product": PRODUCT, "inviter": inviter.email, "url": _link(person), "days": VALID.days}
    return notices.send(person, "invitation", data, now, VALID)


def reset(person: User, url: str, now: datetime) -> Message | None:
    """A new password, at the path of the link that allauth made."""
    hours = int(VALID.total_seconds() // 3600)
    data = {"url": _public(urlsplit(url).path), "hours": hours, "organisation": PRODUCT}
    return notices.send(person, "password-reset", data, now, VALID)


def _link(person: User) -> str:
    key = default_token_generator.make_token(person)
    parts = {"uidb36": user_pk_to_url_str(person), "key": key}
    return _public(reverse("account_reset_password_from_key", kwargs=parts))


def _public(path: str) -> str:
    return f"{settings.ENVIRONMENT.base_url}{path}"
