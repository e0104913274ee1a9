"""Who of the people may come in: invited by address, deactivated, let in again. Nobody signs up alone."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError

from vaguemestre.ledger import journal
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import User
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox


def everybody() -> list[User]:
    """All, those who may come in first."""
    return list(User.objects.order_by("-is_active", "email"))


def find(key: str) -> User:
    """The person.

    Raises:
        Missing: there is none.
    """
    found = User.objects.filter(pk=int(key)).first() if key.isascii() and key.isdecimal() else None
    if found is None:
        raise Missing("person", key)
    return found


def invite(email: str, language: str, actor: str, now: datetime) -> User:
    """A person without a password yet.

    Raises:
        Refusal: no address, one that is known, or a language that the console does not speak.
    """
    faults = []
    try:
        address = Mailbox.parse(email, "email").address
    except Invalid as fault:
        faults.append(fault)
        address = ""
    if language not in dict(settings.LANGUAGES):
        faults.append(Invalid("language", "language_unknown", "Choose a language of the console."))
    known = Invalid("email", "person_known", "This address is one of the people already.")
    if address and User.objects.filter(email__iexact=address).exists():
        faults.append(known)
    if faults:
        raise Refusal(*faults)
    try:
        with writing():
            person = User.objects.create_user(
                address, None, is_superuser=True, is_staff=True, language=language
            )
            journal.record("user", person.email, "invited", actor, now, {})
    except IntegrityError:
        raise Refusal(known) from None
    return person


def let_in(person: User, *, may: bool, by: User, now: datetime) -> None:
    """Deactivate a person, whose sessions end with it, or let them in again.

    Raises:
        Conflict: nobody locks themselves out, nor each other, so that somebody is always left.
    """
    if person.pk == by.pk and not may:
        raise Conflict("person_oneself", "You cannot deactivate yourself.")
    with writing():
        lock(CONFIGURATION_LOCK)
        # Of two who deactivate each other at once, the second comes too late.
        if not User.objects.filter(pk=by.pk, is_active=True).exists():
            raise Conflict("person_deactivated", "You were deactivated yourself.")
        person.is_active = may
        person.save(update_fields=["is_active"])
        action = "activated" if may else "deactivated"
        journal.record("user", person.email, action, f"user:{by.email}", now, {})
