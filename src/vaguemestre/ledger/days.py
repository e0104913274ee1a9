"""A day, and a moment of it, as they are written in the language that is active.

Days by Babel: Django's Italian has months with a capital, and days with a zero in front, as a form has them.
"""

from __future__ import annotations

from datetime import date, datetime

from babel.dates import format_date
from django.utils.formats import date_format
from django.utils.translation import get_language


def day_text(day: date) -> str:
    """`1 maggio 2030`, `1 mai 2030`, `May 1, 2030`."""
    return format_date(day, "long", locale=(get_language() or "en").replace("-", "_"))


def moment_text(at: datetime) -> str:
    """`29/11/2026 06:46`; in English `2026-11-29 06:46`, since half of its readers have the month first."""
    in_english = (get_language() or "en").startswith("en")
    return date_format(at, "Y-m-d H:i" if in_english else "SHORT_DATETIME_FORMAT")
