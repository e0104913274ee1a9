"""How a service of the ledger says no. In each case nothing was changed.

Every message is English; `wording.describe` says the same in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping

from vaguemestre.mail.errors import Invalid


class Refusal(Exception):
    """Input with faults: each names its field."""

    def __init__(self, *errors: Invalid) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors


class Conflict(Exception):
    """The request is sound, and the present state forbids it."""

    def __init__(self, code: str, message: str, facts: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = dict(facts or {})


class Missing(Exception):
    """There is no such thing."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"There is no {kind} {key}.")
        self.kind = kind
        self.key = key
