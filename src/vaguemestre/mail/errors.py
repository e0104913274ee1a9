"""Refusals of the field's values.

Every value of `vaguemestre.mail` is valid once it exists; building one from bad input raises `Invalid`,
which names the field at fault and says in English what is wrong and what to do. `code` is stable, so that
the console can say the same in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping


class Invalid(ValueError):
    """Input that is refused. Nothing was changed.

    Attributes:
        field: the input's name, such as `sender_email` or `to[2]`.
        code: a stable name of the fault, such as `address_syntax`.
        message: what is wrong and what to do, in English.
        facts: values that a translation of `message` may show. Never a secret.
    """

    # No frozen dataclass: the interpreter writes an exception's traceback while it passes a context manager.
    def __init__(
        self, field: str, code: str, message: str, facts: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(field, code, message, facts)
        self.field = field
        self.code = code
        self.message = message
        self.facts = dict(facts or {})

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def at(self, name: str) -> Invalid:
        """The same fault, found in the field `name`."""
        return Invalid(name, self.code, self.message, self.facts)
