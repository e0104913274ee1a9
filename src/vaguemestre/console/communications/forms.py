"""The form of a stream. It carries what was typed; the ledger is the one that validates."""

from __future__ import annotations

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext_lazy as _

from vaguemestre.console.inputs import choice_input, connection_choices, flag_input, number, text_input
from vaguemestre.ledger.models import Connection, Stream
from vaguemestre.ledger.stream_wording import stream_text
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid

NUMBERS = ("retry_hours", "retention_days")
TEXTS = ("name", "connection", "reply_to", "priority", "on_doubt", "auto_submitted")
FLAGS = ("unsubscribe", "redact")


class StreamForm(forms.Form):
    """A stream as typed."""

    key = text_input(_("Key"), _("By which applications name it: small letters, digits, hyphens."))
    name = text_input(_("Name"), _("What people call it here."))
    connection = choice_input(
        _("Connection"), _("It carries these messages, unless a default sender overrides it.")
    )
    reply_to = text_input(
        _("Reply address"), _("Where answers go, unless a message says otherwise."), inputmode="email"
    )
    priority = choice_input(
        _("Priority"),
        _("Who leaves first when the server or a quota lets only some through."),
        ("urgent", _("urgent: before all others")),
        ("normal", _("normal")),
        ("low", _("low: after all others")),
    )
    on_doubt = choice_input(
        _("When it is uncertain whether a message arrived"),
        _("After a broken line at the last moment. A second invoice harms more than a second notification."),
        ("retry", _("send it again after ten minutes")),
        ("hold", _("wait for a person to decide")),
    )
    retry_hours = text_input(
        _("Hours it is tried"),
        _("Then it is given up. A code that is valid for an hour needs no more."),
        inputmode="numeric",
    )
    auto_submitted = choice_input(
        _("Says that a program wrote it"),
        _("So that nobody’s holiday note answers it (header Auto-Submitted)."),
        ("no", _("no")),
        ("auto-generated", _("yes, by itself")),
        ("auto-replied", _("yes, as an answer")),
    )
    unsubscribe = flag_input(
        _("Link to unsubscribe"),
        _("Each recipient gets one; what comes for them later in this communication is not sent."),
    )
    retention_days = text_input(
        _("Days the content is kept"),
        _("What became of a message stays known afterwards."),
        inputmode="numeric",
    )
    redact = flag_input(
        _("Hide links and codes"),
        _("Nobody reads a password’s link or a code here in the console, or over the API."),
    )

    @classmethod
    def of(cls, stream: Stream) -> StreamForm:
        """The form filled with a stream."""
        initial = {name: getattr(stream, name) for name in (*TEXTS, *FLAGS, "key", "retention_days")}
        initial["name"] = stream_text(stream.key, stream.name)
        initial["connection"] = str(stream.connection.uid) if stream.connection else ""
        initial["retry_hours"] = round(stream.retry_age / 3600)
        return cls(initial=initial)

    @classmethod
    def empty(cls) -> StreamForm:
        """The form of a new one, with the usual values."""
        form = cls.of(Stream())
        form.initial["key"] = form.initial["name"] = ""
        return form

    def offer(self, connections: Iterable[Connection]) -> None:
        """The connections to choose from."""
        choices = connection_choices(connections, _("none of its own: by the From of each message"))
        self.fields["connection"].widget = forms.Select(choices=choices)

    def typed(self) -> dict[str, object]:
        """The values under the names of the API's resource, as they were typed."""
        self.is_valid()
        values: dict[str, object] = {name: str(self.data.get(name, "")) for name in TEXTS}
        values |= {name: number(str(self.data.get(name, ""))) for name in NUMBERS}
        return values | {name: bool(self.cleaned_data.get(name)) for name in FLAGS}

    def refuse(self, faults: Iterable[Invalid]) -> None:
        """Put each fault at its field, in the reader's language."""
        for fault in faults:
            self.add_error(fault.field if fault.field in self.fields else None, describe(fault))
