"""The form of a new key. It carries what was typed; the ledger is the one that validates."""

from __future__ import annotations

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext_lazy as _

from vaguemestre.console.inputs import flag_input, lines_input, listed, text_input, told
from vaguemestre.ledger.stream_wording import stream_text
from vaguemestre.ledger.streams import all_streams
from vaguemestre.mail.errors import Invalid

SCOPES = {
    "send": (_("Send messages"), _("and see what became of its own")),
    "read": (_("Read all messages"), _("of every application")),
    "connections": (_("Manage connections"), _("change them, verify them, choose the default")),
    "admin": (_("Everything else"), _("keys and settings")),
}
BOXES = ("scopes", "streams")
LINES = ("senders", "networks")
LIMITS = ("streams", *LINES)


class KeyForm(forms.Form):
    """A key as typed."""

    name = text_input(_("Name of the application"), must=True, placeholder=_("Online shop"))
    scopes = forms.Field(label=_("It may"), required=False, initial=["send"], widget=forms.SelectMultiple)
    dsn = flag_input(
        _("Report failures to the sender"),
        _(
            "Of what it hands over by SMTP: whoever the message came from gets a mail with the server’s "
            "words when it is refused or given up."
        ),
    )
    streams = forms.Field(label=_("Communications"), required=False, widget=forms.SelectMultiple)
    senders = lines_input(
        _("Senders"),
        _(
            "One a line: an address, or *@example.org. What gives another sender is refused. Empty for any. "
            "What recipients see is still up to the connection that carries the message."
        ),
    )
    networks = lines_input(
        _("Networks"),
        _("One a line, such as 192.0.2.7 or 192.0.2.0/24. From elsewhere the key is refused. Empty for any."),
    )

    def typed(self) -> dict[str, list[str]]:
        """What was typed where several may be."""
        lists = {name: listed(str(self.data.get(name, ""))) for name in LINES}
        return lists | {name: self[name].value() for name in BOXES}

    def refuse(self, faults: Iterable[Invalid]) -> None:
        """Put each fault at its field, in the reader's language."""
        for fault in faults:
            self.add_error(fault.field, told(fault))

    @property
    def limited(self) -> bool:
        """Whether a limit is set or faulty."""
        return any(self[name].errors or self[name].value() for name in LIMITS)


def stream_choices() -> list[tuple[str, str]]:
    """The streams there are, by their names."""
    return [(stream.key, stream_text(stream.key, stream.name)) for stream in all_streams()]
