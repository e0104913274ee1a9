"""The HTML of a form: what its own page shows, and what is pasted into a site.

It needs no script and no style sheet. One input is not for people: it stands out of sight, and whoever fills
it is a program. Everything that is not ours is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from django.utils.translation import gettext as _
from django.utils.translation import override

from vaguemestre.ledger.forms import address_of, fields_of
from vaguemestre.ledger.models import Form
from vaguemestre.policy.form_field import Field, Kind, trap

LANGUAGE, TOKEN = "_language", "_token"
_TYPES = {
    Kind.EMAIL: ("email", "email"),
    Kind.PHONE: ("tel", "tel"),
    Kind.NAME: ("text", "name"),
    Kind.DATE: ("date", ""),
    Kind.NUMBER: ("text", ""),
    Kind.FILE: ("file", ""),
}
PASTED_TRAP = 'style="position:absolute;left:-10000px"'
OWN_TRAP = 'class="trap"'
# For browsers, and for what keeps passwords and addresses beside them.
_LEAVE_ALONE = 'autocomplete="off" data-1p-ignore data-bwignore data-lpignore="true" data-form-type="other"'


@dataclass(frozen=True)
class State:
    """What stands in a form that is shown again.

    Attributes:
        token: of the page; "" for a page of somebody else's.
        errors: what is wrong, by the names of fields.
    """

    token: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def pasted(form: Form, language: str) -> str:
    """For a site's own page."""
    return _form(form, language, address_of(form), PASTED_TRAP, State())


def shown(form: Form, language: str, state: State) -> str:
    """For our own page."""
    return _form(form, language, f"/f/{form.key}", OWN_TRAP, state)


def _form(form: Form, language: str, action: str, hidden: str, state: State) -> str:
    with override(language):
        fields = fields_of(form)
        kind = ' enctype="multipart/form-data"' if any(one.kind is Kind.FILE for one in fields) else ""
        lines = [
            f'<form action="{escape(action)}" method="post" accept-charset="utf-8"{kind}>',
            f'  <input type="hidden" name="{LANGUAGE}" value="{escape(language)}">',
        ]
        if state.token:
            lines.append(f'  <input type="hidden" name="{TOKEN}" value="{escape(state.token)}">')
        lines += [_field(one, state) for one in fields]
        lines.append(
            f'  <div {hidden} aria-hidden="true"><label>{escape(_("Leave this empty"))}'
            f' <input type="text" name="{trap(form.key)}" tabindex="-1" {_LEAVE_ALONE}></label></div>'
        )
        lines.append(f'  <p><button class="button first" type="submit">{escape(_("Send"))}</button></p>')
        return "\n".join([*lines, "</form>"]) + "\n"


def _field(one: Field, state: State) -> str:
    at, error = f"vgm-{one.name}", state.errors.get(one.name, "")
    marks = " required" if one.required else ""
    if error:
        marks += f' aria-invalid="true" aria-describedby="{at}-error"'
    control = _control(one, at, state.values.get(one.name, ""), marks)
    star = f' <abbr title="{escape(_("required"))}">*</abbr>' if one.required else ""
    label = f'<label for="{at}">{escape(one.label)}{star}</label>'
    pair = f"{control} {label}" if one.kind is Kind.CHECKBOX else f"{label} {control}"
    told = f'<span class="error" id="{at}-error">{escape(error)}</span>' if error else ""
    return f'  <p class="field">{pair}{told}</p>'


def _control(one: Field, at: str, value: str, marks: str) -> str:
    common = f'id="{at}" name="{escape(one.name)}"{marks}'
    match one.kind:
        case Kind.LINES:
            return (
                f'<textarea class="input" {common} rows="6" maxlength="{one.limit}">\n'
                f"{escape(value)}</textarea>"
            )
        case Kind.CHOICE:
            return f'<select {common}><option value="">—</option>{_choices(one, value)}</select>'
        case Kind.CHECKBOX:
            return f'<input type="checkbox" {common} value="on"{" checked" if value else ""}>'
        case Kind.FILE:
            return f'<input type="file" {common}>'
        case _:
            kind, completed = _TYPES.get(one.kind, ("text", ""))
            hint = f' autocomplete="{completed}"' if completed else ""
            return (
                f'<input class="input" type="{kind}" {common} value="{escape(value)}"'
                f' maxlength="{one.limit}"{hint}>'
            )


def _choices(one: Field, value: str) -> str:
    return "".join(
        f'<option value="{escape(choice)}"{" selected" if choice == value else ""}>{escape(choice)}</option>'
        for choice in one.choices
    )
