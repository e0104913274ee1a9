"""A size as it is written in the language that is active.

By Babel: Django's Italian has "bytes" for byte, and its French the Kio that few people know. A kilobyte is of
1,024, as mail servers count what they take.
"""

from __future__ import annotations

from babel.units import format_unit
from django.utils.translation import get_language

_UNITS = ("kilobyte", "megabyte", "gigabyte")


def size_text(octets: int) -> str:
    """`149 octets`, `1,5 ko`, `25 Mo`; `149 byte`, `1,5 kB`, `25 MB`: figure and unit are never parted."""
    return _text(octets).replace(" ", "\N{NO-BREAK SPACE}")


def _text(octets: int) -> str:
    locale = (get_language() or "en").replace("-", "_")
    if octets < 1024:
        return format_unit(octets, "digital-byte", "long", locale=locale)
    figure, place = octets / 1024, 0
    while figure >= 1023.5 and place + 1 < len(_UNITS):
        figure, place = figure / 1024, place + 1
    pattern = "0.#" if figure < 100 else "0"
    return format_unit(figure, f"digital-{_UNITS[place]}", "short", format=pattern, locale=locale)
