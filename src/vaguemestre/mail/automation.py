"""What a message says of having been made by a program (RFC 3834 §5): nobody's holiday note answers it."""

from __future__ import annotations

from enum import StrEnum


class AutoSubmitted(StrEnum):
    """The value of Auto-Submitted; `NO` adds no field, which means the same."""

    NO = "no"
    GENERATED = "auto-generated"  # made by itself: notifications, reports
    REPLIED = "auto-replied"  # the answer to a message or a form
