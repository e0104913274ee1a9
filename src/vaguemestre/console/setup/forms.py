"""The first administrator's form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.utils.translation import gettext_lazy as _

from vaguemestre.ledger.models import User

PASSWORD = {"autocomplete": "new-password"}


class FirstAdministratorForm(forms.Form):
    """An address, and a password twice."""

    email = forms.EmailField(
        label=_("Your email address"),
        help_text=_("You sign in with it."),
        error_messages={"invalid": _("This is not an email address; write it like name@example.org.")},
        widget=forms.EmailInput(attrs={"autocomplete": "username"}),
    )
    password = forms.CharField(
        label=_("Password"),
        help_text=_("At least 12 characters. A sentence is easier to remember than a puzzle."),
        strip=False,
        widget=forms.PasswordInput(attrs=PASSWORD),
    )
    again = forms.CharField(
        label=_("The same password again"), strip=False, widget=forms.PasswordInput(attrs=PASSWORD)
    )

    def clean(self) -> dict[str, Any]:
        """Both passwords are the same, and Django's validators take it."""
        cleaned = super().clean() or {}
        password, again = cleaned.get("password"), cleaned.get("again")
        if password and again and password != again:
            self.add_error("again", _("The two passwords differ."))
        if password:
            try:
                password_validation.validate_password(password, User(email=cleaned.get("email", "")))
            except forms.ValidationError as refusal:
                self.add_error("password", refusal)
        return cleaned
