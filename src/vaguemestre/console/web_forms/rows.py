"""The rows in which the fields of a form are edited, without a script: empty ones behind are for new fields.

A row whose label is emptied goes; the numbers say the order. A name that was not typed is made of the label.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.http import QueryDict

from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid
from vaguemestre.policy.form_field import FIELDS, NAME, RESERVED, Field, Kind

SPARE = 2  # empty rows behind the others
_AT = re.compile(r"fields\[(\d+)\](?:\.(\w+))?")


@dataclass(frozen=True)
class Row:
    """A field as typed.

    Attributes:
        choices: one a line.
        error: what is wrong with it.
    """

    order: str = ""
    name: str = ""
    label: str = ""
    kind: str = Kind.TEXT.value
    required: bool = False
    longest: str = ""
    choices: str = ""
    error: str = ""

    @classmethod
    def of(cls, field: Field, number: int) -> Row:
        """A field that is there."""
        longest = str(field.longest) if field.longest else ""
        choices = "\n".join(field.choices)
        return cls(str(number), field.name, field.label, field.kind.value, field.required, longest, choices)

    def typed(self, taken: Sequence[str]) -> dict[str, object]:
        """As the API takes it; what is no number is refused there."""
        longest: object = int(self.longest) if self.longest.isdecimal() else self.longest or 0
        choices = [line.strip() for line in self.choices.splitlines() if line.strip()]
        return {
            "name": self.name or name_of(self.label, taken),
            "label": self.label,
            "kind": self.kind,
            "required": self.required,
            "longest": longest,
            "choices": choices if self.kind == Kind.CHOICE else [],
        }


def of_fields(fields: Sequence[Field]) -> list[Row]:
    """The rows of a form."""
    return with_spare([Row.of(field, number) for number, field in enumerate(fields, 1)])


def posted(form: QueryDict) -> list[Row]:
    """The rows that hold something, in their order."""
    found = [_row(form, number) for number in range(FIELDS + SPARE)]
    filled = [row for row in found if row.label.strip()]
    return sorted(filled, key=lambda row: int(row.order) if row.order.isdecimal() else FIELDS * 10)


def typed(rows: Iterable[Row]) -> list[dict[str, object]]:
    """The fields as the API takes them."""
    found: list[dict[str, object]] = []
    for row in rows:
        found.append(row.typed([str(one["name"]) for one in found]))
    return found


def with_spare(rows: Sequence[Row], spare: int = SPARE) -> list[Row]:
    """Numbered, and empty ones behind them."""
    numbered = [replace(row, order=str(number)) for number, row in enumerate(rows, 1)]
    return [*numbered, *(Row(order=str(len(rows) + number + 1)) for number in range(spare))]


def refused(rows: Sequence[Row], faults: Iterable[Invalid]) -> list[Row]:
    """The same, with what is wrong in them."""
    found = list(rows)
    for fault in faults:
        at = _AT.fullmatch(fault.field)
        if at is not None and int(at[1]) < len(found):
            found[int(at[1])] = replace(found[int(at[1])], error=describe(fault))
    return found


def name_of(label: str, taken: Sequence[str]) -> str:
    """A name made of a label: small letters without accents."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:30]
    made = made if NAME.fullmatch(made) and made not in RESERVED else f"champ_{len(taken) + 1}"
    while made in taken:
        made = f"{made}_{len(taken) + 1}"
    return made


def _row(form: QueryDict, number: int) -> Row:
    given = {
        part: form.get(f"field-{number}-{part}", "").strip()
        for part in ("order", "name", "label", "kind", "longest", "choices")
    }
    return Row(**given, required=f"field-{number}-required" in form)
