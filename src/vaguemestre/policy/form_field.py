"""Fields of a form: what they are, what may stand in them, and what a visitor wrote, checked.

Everything a visitor sends passes here before anything else sees it. A text is bounded, has no control
characters but the line breaks of a text of several lines, and is otherwise left as it was written: nothing is
repaired, and each fault is told at its field. An address is one by the strict grammar of `mail.mailbox`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
OLD_TRAP = "website"  # of forms that were pasted when the trap had this name; programs fill it anywhere
RESERVED = frozenset({OLD_TRAP})
PARTS = ("name", "label", "kind", "required", "longest", "choices")
LONGEST = 10_000  # characters, of several lines
LINE = 500  # characters, of one line
CHOICES = 100
FIELDS = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PHONE = re.compile(r"\+?[0-9 ().\u00a0/-]{3,40}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:[.,][0-9]{1,6})?")
_PLAIN_NAME = re.compile(r"[^\W\d_]+(?:(?:\. |[ '’-])[^\W\d_]+)*\.?")


class Kind(StrEnum):
    """What a field asks for."""

    TEXT = "text"
    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    NUMBER = "number"
    DATE = "date"
    LINES = "lines"
    CHOICE = "choice"
    CHECKBOX = "checkbox"
    FILE = "file"


def trap(key: str) -> str:
    """The name of a form's input that people do not see: whoever fills it is a program.

    It says nothing, so that no browser completes it, and is no field's: those begin with a letter.
    """
    return f"_{hashlib.sha256(f'vaguemestre.trap:{key}'.encode()).hexdigest()[:10]}"


@dataclass(frozen=True)
class Field:
    """A field.

    Attributes:
        name: in the HTML and in JSON.
        label: as visitors read it.
        longest: characters; 0 for as many as its kind may have.
        choices: of which one is chosen; for that kind alone.
    """

    name: str
    label: str
    kind: Kind = Kind.TEXT
    required: bool = False
    longest: int = 0
    choices: tuple[str, ...] = ()

    @property
    def limit(self) -> int:
        """Characters it may have."""
        most = LONGEST if self.kind is Kind.LINES else LINE
        return min(self.longest, most) if self.longest else most

    def as_json(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return {
            "name": self.name, "label": self.label, "kind": self.kind.value, "required": self.required,
            "longest": self.longest, "choices": list(self.choices),
        }  # fmt: skip

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Field:
        """The field that was stored so."""
        given = {**values, "kind": Kind(values["kind"]), "choices": tuple(values["choices"])}
        return cls(**given)


@dataclass(frozen=True)
class Filled:
    """What a visitor wrote, checked.

    Attributes:
        answers: (field, text) in the order of the fields; those that were left empty are not among them.
        email: the address typed; None without one.
        faults: at the names of the fields.
    """

    answers: tuple[tuple[Field, str], ...]
    email: Mailbox | None
    faults: tuple[Invalid, ...] = ()

    def first(self, kind: Kind) -> str:
        """What was written in the first field of a kind; "" where there is nothing."""
        return next((text for field, text in self.answers if field.kind is kind), "")


def fill(fields: Sequence[Field], given: Mapping[str, object]) -> Filled:
    """What stands in the fields; files are not looked at, nor what belongs to no field."""
    answers: list[tuple[Field, str]] = []
    faults: list[Invalid] = []
    for field in fields:
        if field.kind is Kind.FILE:
            continue
        try:
            written = _checked(field, given.get(field.name, ""))
        except Invalid as fault:
            faults.append(fault)
            continue
        if written:
            answers.append((field, written))
    address = next((text for field, text in answers if field.kind is Kind.EMAIL), "")
    return Filled(tuple(answers), Mailbox.parse(address) if address else None, tuple(faults))


def plain_name(text: str) -> str:
    """A name that may greet whoever owns the address typed: words of letters; "" for all else."""
    return text if len(text) <= 60 and _PLAIN_NAME.fullmatch(text) else ""


def parse_fields(value: object) -> tuple[Field, ...]:
    """The fields of a form, as they are set up.

    Raises:
        Invalid: at `fields`, or at `fields[2].label`.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= FIELDS:
        raise Invalid("fields", "form_fields", f"A form has 1 to {FIELDS} fields.")
    found = tuple(_parsed(one, f"fields[{position}]") for position, one in enumerate(value))
    for position, one in enumerate(found):
        if any(one.name == other.name for other in found[:position]):
            message = "Another field has this name."
            raise Invalid(f"fields[{position}].name", "field_name_twice", message)
    if sum(one.kind is Kind.EMAIL for one in found) > 1:
        raise Invalid("fields", "field_emails", "A form asks for one email address at most.")
    return found


def _checked(field: Field, given: object) -> str:
    text = _written(given)
    if text is None:
        raise Invalid(field.name, "not_text", "Text is needed here.")
    if field.kind is Kind.LINES:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        if field.required:
            raise Invalid(field.name, "missing", "This is needed.")
        return ""
    _refuse_length(field, text)
    spoken = text.replace("\n", "").replace("\t", "") if field.kind is Kind.LINES else text
    if _CONTROL.search(spoken):
        raise Invalid(field.name, "control_characters", "There is a control character in it; remove it.")
    return _of_kind(field, text)


def _written(given: object) -> str | None:
    """As a browser would send it; None for what no input holds."""
    match given:
        case None | False:
            return ""
        case True:
            return "on"
        case str() | int() | float():
            return str(given)
        case _:
            return None


def _refuse_length(field: Field, text: str) -> None:
    if len(text) > field.limit:
        facts = {"limit": field.limit}
        raise Invalid(field.name, "field_long", f"At most {field.limit} characters.", facts)


def _of_kind(field: Field, text: str) -> str:
    match field.kind:
        case Kind.EMAIL:
            return Mailbox.parse(text.strip(" "), field.name).address
        case Kind.PHONE if not _PHONE.fullmatch(text.strip()):
            raise Invalid(field.name, "field_phone", "This is not a telephone number.")
        case Kind.NUMBER if not _NUMBER.fullmatch(text.strip()):
            raise Invalid(field.name, "field_number", "A number is needed here.")
        case Kind.DATE:
            return _day(field, text.strip())
        case Kind.CHOICE if text not in field.choices:
            raise Invalid(field.name, "field_choice", "Choose one of the answers.")
        case _:
            return text.strip()


def _day(field: Field, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Invalid(field.name, "day_syntax", "Write the day like 2026-12-31.") from None


def _parsed(value: object, at: str) -> Field:
    if not isinstance(value, dict):
        raise Invalid(at, "not_object", "An object is needed here.")
    for name in value:
        if name not in PARTS:
            raise Invalid(at, "unknown_field", f"A field has no {name}.")
    kind = _kind(value.get("kind", Kind.TEXT.value), f"{at}.kind")
    required = value.get("required", False)
    if not isinstance(required, bool):
        raise Invalid(f"{at}.required", "not_boolean", "This is either true or false.")
    return Field(
        _name(value.get("name"), f"{at}.name"),
        _label(value.get("label"), f"{at}.label"),
        kind,
        required,
        _longest(value.get("longest", 0), f"{at}.longest"),
        _choices(value.get("choices", []), kind, f"{at}.choices"),
    )


def _kind(value: object, at: str) -> Kind:
    if not isinstance(value, str) or value not in {*Kind}:
        raise Invalid(at, "field_kind", f"Choose one of {', '.join(Kind)}.")
    return Kind(value)


def _name(value: object, at: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value) or value in RESERVED:
        message = f"A field's name is of small letters, digits, - and _, and not {OLD_TRAP}."
        raise Invalid(at, "field_name", message)
    return value


def _label(value: object, at: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200 or _CONTROL.search(value):
        raise Invalid(at, "field_label", "Give the field a label of at most 200 characters.")
    return value.strip()


def _longest(value: object, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST:
        raise Invalid(at, "field_longest", f"A whole number from 0 to {LONGEST}.")
    return value


def _choices(value: object, kind: Kind, at: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > CHOICES:
        raise Invalid(at, "field_choices", f"A list of at most {CHOICES} answers is needed here.")
    for one in value:
        if not isinstance(one, str) or not one.strip() or len(one) > LINE or _CONTROL.search(one):
            raise Invalid(at, "field_choices", f"Each answer is a text of at most {LINE} characters.")
    if (kind is Kind.CHOICE) != bool(value):
        raise Invalid(at, "field_choices_kind", "A field has answers where, and only where, one is chosen.")
    return tuple(one.strip() for one in value)
