"""Who forgot a password types an address, and learns nothing about it: the ledger keeps what they ask.

The browser in which somebody then chooses another one is known for their address, however many strangers try.
"""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm, ResetPasswordKeyForm
from allauth.account.views import PasswordResetFromKeyView
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from vaguemestre.console.people import guesses
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


class Chosen(PasswordResetFromKeyView):  # type: ignore[misc]  # allauth ships no types
    """allauth's page behind the link."""

    def form_valid(self, form: ResetPasswordKeyForm) -> HttpResponseBase:
        """Keep the password, and know the browser."""
        answer: HttpResponseBase = super().form_valid(form)
        guesses.remember(answer, self.reset_user.email)
        return answer
