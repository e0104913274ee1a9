"""What kinds of fields are called, and the fields that a new form begins with."""

from __future__ import annotations

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from vaguemestre.console.web_forms.rows import Row, of_fields
from vaguemestre.policy.form_field import Field, Kind

KINDS = {
    Kind.TEXT: _("one line"),
    Kind.NAME: _("name of a person"),
    Kind.EMAIL: _("email address"),
    Kind.PHONE: _("telephone"),
    Kind.NUMBER: _("number"),
    Kind.DATE: _("day"),
    Kind.LINES: _("several lines"),
    Kind.CHOICE: _("one of several answers"),
    Kind.CHECKBOX: _("box to tick"),
    Kind.FILE: _("file"),
}


def starting() -> list[Row]:
    """A name, an address and a message."""
    return of_fields(
        (
            Field("name", gettext("Name"), Kind.NAME, required=True),
            Field("email", gettext("Email address"), Kind.EMAIL, required=True),
            Field("message", gettext("Message"), Kind.LINES, required=True),
        )
    )
