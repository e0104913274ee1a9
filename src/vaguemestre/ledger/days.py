"""A day as it is written in the language that is active.

By Babel: Django's Italian has months with a capital and days with a zero in front, as English and forms have.
"""

from __future__ import annotations

from datetime import date

from babel.dates import format_date
from django.utils.translation import get_language


def day_text(day: date) -> str:
    """`1 maggio 2030`, `1 mai 2030`, `May 1, 2030`."""
    return format_date(day, "long", locale=(get_language() or "en").replace("-", "_"))
