"""`vaguemestre admin`: the people who use the console."""

from __future__ import annotations

import argparse

from django.conf import settings
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from vaguemestre.cli import database
from vaguemestre.cli.arguments import action, actions, actor, new_password
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.output import show
from vaguemestre.ledger import journal
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import User
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.secret import Secret


def declare(parser: argparse.ArgumentParser) -> None:
    """`admin create|password|link`."""
    among = actions(parser)
    for name, summary, run in (
        ("create", "create an administrator", _create),
        ("password", "set an administrator's password", _password),
    ):
        person = action(among, name, summary, run)
        person.add_argument("--email", required=True, help="the address to sign in with")
        person.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )
    action(among, "link", "make a new one-time link for the first administrator", _link)


def _create(arguments: argparse.Namespace) -> None:
    email = Mailbox.parse(arguments.email, "email").address
    if User.objects.filter(email__iexact=email).exists():
        raise Failed(f"email: {email} is an administrator already.")
    password = _checked(new_password(arguments), User(email=email))
    with writing():
        try:
            user = User.objects.create_user(
                email, password.reveal(), is_superuser=True, is_staff=True, language=settings.LANGUAGE_CODE
            )
        except IntegrityError:
            raise Failed(f"email: {email} is an administrator already.") from None
        journal.record("user", user.email, "created", actor(), timezone.now(), {})
    show(arguments, {"email": user.email}, f"{user.email} can sign in now.")


def _password(arguments: argparse.Namespace) -> None:
    user = User.objects.filter(email__iexact=arguments.email).first()
    if user is None:
        raise Failed(f"email: there is no administrator {arguments.email}.")
    password = _checked(new_password(arguments), user)
    with writing():
        user.set_password(password.reveal())
        user.save()
        journal.record("user", user.email, "password_set", actor(), timezone.now(), {})
    show(
        arguments,
        {"email": user.email},
        f"{user.email} has a new password; every session of theirs has ended.",
    )


def _checked(password: Secret, user: User) -> Secret:
    try:
        password_validation.validate_password(password.reveal(), user)
    except ValidationError as refusal:
        raise Failed(*(f"password: {message}" for message in refusal.messages)) from None
    return password


def _link(arguments: argparse.Namespace) -> None:
    link = database.first_link(settings.ENVIRONMENT)
    if link is None:
        raise Failed("There is an administrator already: use `vaguemestre admin create`.")
    show(arguments, {"link": link}, link)
