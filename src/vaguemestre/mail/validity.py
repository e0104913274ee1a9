"""From when to when a certificate is valid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Validity:
    """See the module; both moments are aware.

    Attributes:
        starts_at: None where nobody kept it.
    """

    ends_at: datetime
    starts_at: datetime | None = None
