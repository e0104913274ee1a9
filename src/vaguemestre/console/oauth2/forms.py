"""The form of an account of OAuth 2.0. As with connections it only carries what was typed: the ledger judges.

Secrets are never shown again; left empty, those that are stored stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from vaguemestre.console.inputs import text_input
from vaguemestre.console.oauth2.ways import Way
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.oauth2 import account_of
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid
from vaguemestre.providers.oauth2.account import Grant

SECRETS = ("client_secret", "service_account_key")
ONLY_SHOWN = "object_id"  # stands in a command, and is kept nowhere
FORGET = "clear_password"
_OBJECT_ID = re.compile(r"[0-9a-fA-F-]{1,64}")


_text = partial(text_input, spellcheck="false", autocapitalize="none")


class AccountForm(forms.Form):
    """An account as typed; it shows the fields of one way."""

    login = _text(_("Mailbox"), _("The address that signs in and sends."), must=True)
    tenant = _text(
        _("Directory (tenant) ID"), _("From the application’s page in Microsoft Entra."), must=True
    )
    client_id = _text(_("Application (client) ID"), _("From the page of the application."), must=True)
    client_secret = forms.CharField(
        label=_("Client secret"),
        help_text=_("Its value, not its ID. Stored encrypted, and never shown again."),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    object_id = _text(
        _("Object ID of the enterprise application"),
        _("Only for the commands of step 4; it is not stored."),
    )
    service_account_key = forms.CharField(
        label=_("Key of the service account (JSON)"),
        help_text=_("Paste the whole file. Stored encrypted, and never shown again."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
    )
    grant = forms.ChoiceField(
        label=_("Who signs in"),
        required=False,
        initial=Grant.AUTHORIZATION_CODE.value,
        choices=[
            (Grant.AUTHORIZATION_CODE.value, _("A person, once")),
            (Grant.CLIENT_CREDENTIALS.value, _("Nobody: the application itself")),
        ],
    )
    token_endpoint = _text(_("Token address"), _("Where tokens are asked for. Empty: the provider’s own."))
    authorization_endpoint = _text(
        _("Consent address"), _("Where a person signs in and agrees. Empty: the provider’s own.")
    )
    scope = _text(_("Scope"), _("What is asked for; words with a blank between."))
    clear_password = forms.BooleanField(
        label=_("Forget the stored secrets and the consent so far"), required=False
    )

    def __init__(self, way: Way, data: Any = None, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        self.way = way

    @classmethod
    def of(cls, way: Way, connection: Connection, object_id: str = "") -> AccountForm:
        """The form filled with what is saved, without its secrets."""
        account = account_of(connection)
        initial: dict[str, Any] = {"login": connection.login or connection.sender_email}
        if account is not None and way.provider is account.provider and way.grant in {None, account.grant}:
            named = ("tenant", "client_id", "grant", "token_endpoint", "authorization_endpoint", "scope")
            initial |= {name: str(getattr(account, name)) for name in named}
            published = {
                name: getattr(account.usual, name).replace("{tenant}", account.tenant)
                for name in ("token_endpoint", "authorization_endpoint")
            }
            initial |= {name: "" for name, url in published.items() if url == initial[name]}
        if _OBJECT_ID.fullmatch(object_id):
            initial[ONLY_SHOWN] = object_id
        return cls(way, initial=initial)

    @property
    def shown(self) -> list[forms.BoundField]:
        """The fields of its way."""
        return [self[name] for name in self.way.fields]

    @property
    def folded(self) -> list[forms.BoundField]:
        """The further ones."""
        return [self[name] for name in self.way.advanced]

    @property
    def folded_open(self) -> bool:
        """Whether a folded field holds something that must be seen."""
        return any(field.errors or field.value() for field in self.folded)

    @property
    def only_shown(self) -> dict[str, str]:
        """What the page keeps in its address, as nothing else does."""
        text = str(self.data.get(ONLY_SHOWN, "")).strip()
        return {ONLY_SHOWN: text} if _OBJECT_ID.fullmatch(text) else {}

    def typed(self) -> dict[str, object]:
        """The values under the names of the API's resource."""
        self.is_valid()
        account: dict[str, object] = {"provider": self.way.provider.value}
        if self.way.grant is not None:
            account["grant"] = self.way.grant.value
        for name in (*self.way.fields, *self.way.advanced):
            text = str(self.data.get(name, "")).strip()
            if name not in {"login", ONLY_SHOWN} and not (name in SECRETS and not text):
                account[name] = text
        values: dict[str, object] = {"auth": "oauth2", "login": str(self.data.get("login", "")).strip()}
        forgets = {FORGET: True} if self.cleaned_data.get(FORGET) else {}
        return {**values, **forgets, "oauth2": account}

    def refuse(self, faults: Iterable[Invalid]) -> None:
        """Put each fault at its field, in the reader's language."""
        for fault in faults:
            name = fault.field.removeprefix("oauth2.")
            name = FORGET if name == "refresh_token" else name
            self.add_error(name if name in self.fields else None, describe(fault))
