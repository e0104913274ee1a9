"""A form as it is typed. It carries what was typed; the ledger is the one that validates."""

from __future__ import annotations

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext_lazy as _

from vaguemestre.console.inputs import connection_choices, flag_input, lines_input, listed, number, text_input
from vaguemestre.ledger.models import Connection, Form
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid

LISTS = ("notify", "languages", "origins")
TEXTS = ("name", "connection", "reply_to", "template", "thanks_url")
FLAGS = ("active", "replies", "quotes", "token_required")
NUMBERS = ("per_address", "per_hour", "retention_days")


class WebForm(forms.Form):
    """A form as typed, but for its fields."""

    name = text_input(_("Name"), _("Visitors read it above the form and in the reply."))
    active = flag_input(_("Active"), _("An inactive form takes nothing."))
    notify = lines_input(_("Who is told"), _("Addresses that get each submission, one a line."))
    replies = flag_input(_("Reply to the visitor"), _("Once, to the address typed in the form."))
    quotes = flag_input(
        _("Repeat in the reply what was written"),
        _("Leave it off unless visitors need it: anybody can type somebody else’s address."),
    )
    template = forms.CharField(
        label=_("Template of the reply"),
        help_text=_("Its words stand under Templates, for each language."),
        required=False,
        widget=forms.Select(),
    )
    connection = forms.CharField(
        label=_("Connection"),
        help_text=_("It carries the messages of this form. A default sender overrides it."),
        required=False,
        widget=forms.Select(),
    )
    reply_to = text_input(
        _("Reply address"),
        _("Where visitors’ answers to the reply go. A default sender overrides it too."),
        inputmode="email",
    )
    languages = lines_input(_("Languages"), _("Such as fr, one a line; the first is the usual one."))
    thanks_url = text_input(
        _("Page after sending"),
        _("Where visitors go then; empty shows a page of thanks from here."),
        inputmode="url",
    )
    origins = lines_input(
        _("Sites"),
        _("That the form may be sent from, one a line, such as https://www.example.org; empty for any."),
    )
    token_required = flag_input(
        _("Only from a page fetched from here"),
        _("Stops more programs. A form pasted into a page then needs a script that asks for a token."),
    )
    per_address = text_input(
        _("Submissions an hour from one address"),
        _("A third of it for pages that were not fetched from here."),
        inputmode="numeric",
    )
    per_hour = text_input(_("Submissions an hour in all"), inputmode="numeric")
    retention_days = text_input(_("Days submissions are kept"), inputmode="numeric")

    @classmethod
    def of(cls, form: Form) -> WebForm:
        """Filled with a form."""
        initial = {name: getattr(form, name) for name in (*TEXTS, *FLAGS, *NUMBERS)}
        initial |= {name: "\n".join(getattr(form, name)) for name in LISTS}
        initial["connection"] = str(form.connection.uid) if form.connection else ""
        return cls(initial=initial)

    def offer(self, connections: Iterable[Connection], templates: Iterable[tuple[str, str]]) -> None:
        """What there is to choose from."""
        choices = connection_choices(connections, _("that of the communication “Form replies”"))
        self.fields["connection"].widget = forms.Select(choices=choices)
        self.fields["template"].widget = forms.Select(choices=list(templates))

    def typed(self) -> dict[str, object]:
        """The values under the names of the API's resource, as they were typed."""
        self.is_valid()
        values: dict[str, object] = {name: str(self.data.get(name, "")) for name in TEXTS}
        values |= {name: listed(str(self.data.get(name, ""))) for name in LISTS}
        values |= {name: number(str(self.data.get(name, ""))) for name in NUMBERS}
        return values | {name: bool(self.cleaned_data.get(name)) for name in FLAGS}

    def refuse(self, faults: Iterable[Invalid]) -> None:
        """Put each fault at its field, in the reader's language; those of rows stand in the rows."""
        for fault in faults:
            if not fault.field.startswith("fields["):
                self.add_error(fault.field if fault.field in self.fields else None, describe(fault))
