"""The form of a connection, with the mission's labels.

It only carries what was typed, as it was typed: the ledger is the one that validates, for console, API and
command line alike. `refuse` puts its faults at the fields. The password is never shown again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from vaguemestre.console.inputs import text_input
from vaguemestre.ledger.connections import LeaveNone, NoChoice, Promote, Successor
from vaguemestre.ledger.fields import LIMITS
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import readable_host

NOBODY = "none"
TEXTS = ("name", "sender_email", "sender_name", "reply_to", "host", "port", "encryption", "login", "password")
PLAIN = ("name", "sender_email", "sender_name", "reply_to", "host", "port", "encryption", "login", "active",
         "is_default", "pinned_certificate", "source_address", *LIMITS)  # fmt: skip
USUAL_PORTS = {kind.value: str(kind.usual_port) for kind in Encryption}


def _limit(label: Any) -> forms.CharField:
    return text_input(label, inputmode="numeric")


class ConnectionForm(forms.Form):
    """A connection as typed."""

    name = text_input(_("Connection name"), _("For your own use; no recipient ever sees it."), must=True)
    sender_email = text_input(
        _("Sender email"),
        _("The address that recipients see."),
        must=True,
        inputmode="email",
        spellcheck="false",
    )
    sender_name = text_input(
        _("Sender name"), _("Shown before the address, such as your organisation’s name.")
    )
    host = text_input(
        _("Server"),
        _("As your provider gives it: smtp.example.org."),
        must=True,
        inputmode="url",
        autocapitalize="none",
        spellcheck="false",
    )
    active = forms.BooleanField(
        label=_("Active"), help_text=_("Only active connections send."), required=False, initial=True
    )
    is_default = forms.BooleanField(
        label=_("Use as default sender"),
        help_text=_("Takes precedence over any other sender or reply address."),
        required=False,
    )
    auth = forms.ChoiceField(
        label=_("How to sign in"),
        required=False,
        initial="password",
        choices=[("password", _("Login and password")), ("oauth2", _("Microsoft, Google: OAuth2"))],
        widget=forms.RadioSelect,
    )
    login = text_input(
        _("SMTP login"),
        _("Often the whole address. Empty for a server that asks for none."),
        autocapitalize="none",
        spellcheck="false",
    )
    password = forms.CharField(
        label=_("SMTP password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    clear_password = forms.BooleanField(label=_("Forget the stored password"), required=False)
    encryption = forms.ChoiceField(
        label=_("Encryption"),
        required=False,
        initial=Encryption.STARTTLS.value,
        choices=[("ssl", "SSL"), ("starttls", "TLS"), ("none", _("None"))],
        widget=forms.RadioSelect,
    )
    port = text_input(_("Port"), _("Follows the encryption; usually 465 or 587."), inputmode="numeric")
    max_sessions = _limit(_("Sessions at once"))
    per_minute = _limit(_("Messages a minute"))
    per_day = _limit(_("Recipients a day"))
    max_recipients = _limit(_("Recipients of one transaction"))
    reply_to = text_input(
        _("Reply address"), _("Where answers go, if not to the sender email."), inputmode="email"
    )
    allowed_senders = forms.CharField(
        label=_("Allowed senders"),
        help_text=_(
            "One a line: an address, or *@example.org. A message from one of them leaves as it is; any other "
            "gets the sender email. A default sender overrides them."
        ),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )
    pinned_certificate = forms.CharField(
        label=_("Pinned certificate"),
        help_text=_(
            "For a server with a certificate of its own: its SHA-256 fingerprint, or a certificate in PEM. "
            "Only this one is then trusted."
        ),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    backup = forms.CharField(
        label=_("Backup connection"),
        help_text=_(
            "Sends in its place while the server refuses this one, or has made it wait for more than five "
            "minutes. Recipients then see its own sender email, unless its allowed senders hold this one’s."
        ),
        required=False,
        widget=forms.Select,
    )
    source_address = text_input(
        _("Local IP address"), _("Which address of this machine to leave from. Empty: the system chooses.")
    )

    @classmethod
    def of(cls, connection: Connection) -> ConnectionForm:
        """The form filled with a saved connection, without its password."""
        initial = {name: getattr(connection, name) for name in PLAIN}
        initial["auth"] = "oauth2" if connection.auth == AuthKind.OAUTH2 else "password"
        initial["host"] = readable_host(connection.host)
        initial["allowed_senders"] = "\n".join(connection.allowed_senders)
        initial["backup"] = str(connection.backup.uid) if connection.backup else ""
        return cls(initial=initial)

    def offer_backups(self, others: Iterable[Connection]) -> None:
        """Let one of these stand in, or none."""
        choices = [("", _("None of them")), *((str(other.uid), other.name) for other in others)]
        self.fields["backup"].widget = forms.Select(choices=choices)

    def typed(self) -> dict[str, object]:
        """The values under the names of the API's resource, as they were typed."""
        self.is_valid()
        values: dict[str, object] = {name: self._raw(name) for name in TEXTS}
        values |= {name: self._raw(name) for name in ("pinned_certificate", "source_address", "backup")}
        values |= {name: bool(self.cleaned_data.get(name)) for name in ("active", "is_default")}
        values["allowed_senders"] = [line for line in self._raw("allowed_senders").splitlines() if line]
        values["limits"] = {name: self._raw(name) for name in LIMITS}
        if self.cleaned_data.get("clear_password"):
            values["clear_password"] = True
        values |= self._auth(signs_in=bool(values["login"] or values["password"]))
        return values

    def _auth(self, *, signs_in: bool) -> dict[str, object]:
        """OAuth2 is chosen; between a password and none, login and password decide."""
        chosen = self._raw("auth")
        said = chosen == AuthKind.OAUTH2 or (chosen == AuthKind.PASSWORD and signs_in)
        return {"auth": chosen} if said else {}

    def _raw(self, name: str) -> str:
        return str(self.data.get(name, ""))

    def refuse(self, faults: Iterable[Invalid]) -> None:
        """Put each fault at its field, in the reader's language."""
        for fault in faults:
            self.add_error(field_of(fault), describe(fault))

    def fold_open(self, *names: str) -> bool:
        """Whether a folded section holds something that must be seen."""
        return any(self[name].errors or self[name].value() for name in names)

    @property
    def limits_open(self) -> bool:
        """Whether a limit is set or faulty."""
        return self.fold_open(*LIMITS)

    @property
    def advanced_open(self) -> bool:
        """Whether something advanced is set or faulty."""
        return self.fold_open("reply_to", "allowed_senders", "backup", "pinned_certificate", "source_address")


def field_of(fault: Invalid) -> str | None:
    """The form's field of a fault: `allowed_senders[2]` and `limits.per_day` have theirs."""
    name = fault.field.split("[")[0].removeprefix("limits.")
    return name if name in ConnectionForm.base_fields else None


def successor_of(text: str | None) -> Successor:
    """The choice of who follows the default, as posted."""
    if not text:
        return NoChoice()
    return LeaveNone() if text == NOBODY else Promote(text)
