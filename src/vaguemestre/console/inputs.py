"""The inputs of the console's forms, declared in one line each.

None is required: what is typed is judged by the ledger, which says what is wrong with it, and is shown again
as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid


def text_input(label: Any, hint: Any = "", *, must: bool = False, **attributes: Any) -> forms.CharField:
    """One line; `must` has readers of screens say that it is needed."""
    attrs = {"autocomplete": "off", **attributes, **({"aria-required": "true"} if must else {})}
    return forms.CharField(
        label=label, help_text=hint, required=False, strip=False, widget=forms.TextInput(attrs=attrs)
    )


def lines_input(label: Any, hint: Any) -> forms.CharField:
    """Several lines, each a value."""
    widget = forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=hint, required=False, widget=widget)


def choice_input(label: Any, hint: Any, *choices: tuple[str, Any]) -> forms.CharField:
    """One of several; a value that is none of them is refused by the ledger."""
    return forms.CharField(
        label=label, help_text=hint, required=False, widget=forms.Select(choices=list(choices))
    )


def flag_input(label: Any, hint: Any) -> forms.BooleanField:
    """A box to tick."""
    return forms.BooleanField(label=label, help_text=hint, required=False)


def connection_choices(connections: Iterable[Connection], none: Any) -> list[tuple[str, Any]]:
    """For a choice of one of them; `none` says what an empty one means."""
    return [("", none), *((str(one.uid), f"{one.name} <{one.sender_email}>") for one in connections)]


def number(text: str) -> int | str:
    """A whole number, or what was typed: the ledger says what is wrong with it."""
    stripped = text.strip()
    return int(stripped) if stripped.isdecimal() and len(stripped) < 9 else text


def listed(text: str) -> list[str]:
    """What was typed into `lines_input`; blanks, commas and semicolons part values too."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def told(fault: Invalid) -> str:
    """A fault in the reader's language; that of one of several values with the value."""
    said = describe(fault)
    typed = fault.facts.get("typed")
    return said if typed is None else _("“%(typed)s”: %(fault)s") % {"typed": typed, "fault": said}
