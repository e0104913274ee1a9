"""Who forgot a password types an address, and learns nothing about it: the ledger keeps what they ask."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm
from django.http import HttpRequest
from django.utils import timezone

from vaguemestre.ledger import passwords


class Forgotten(ResetPasswordForm):  # type: ignore[misc]  # allauth ships no types
    """allauth's form without its looking for the person."""

    def clean_email(self) -> str:
        """The address; whether anybody has it is not asked here."""
        return str(get_adapter().clean_email(self.cleaned_data["email"].lower()))

    def save(self, request: HttpRequest, **named: object) -> str:
        """Keep it for a courier."""
        del request, named
        address: str = self.cleaned_data["email"]
        passwords.ask(address, timezone.now())
        return address
