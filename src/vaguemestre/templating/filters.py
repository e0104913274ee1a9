"""The filters a template may use: Liquid's, as far as their input bounds them, and ours for a language.

Left out are those that could mark data as safe HTML (`safe`, `url_decode`), those whose cost is not bounded
by their input, and Liquid's own `date`, which knows English alone. `replace`, `remove`, `join`, `append`,
`prepend`, `times` and `uniq` are ours, bounded: an empty pattern or a long separator would multiply two
texts, a chain of appends makes one that is kept in no variable, a number times itself doubles its length, and
Liquid's `uniq` compares each with all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from liquid import Environment, RenderContext
from liquid.exceptions import FilterArgumentError, ResourceLimitError
from liquid.filter import liquid_filter, sequence_filter, string_filter, with_context, with_environment

KEPT = frozenset(
    "abs at_least at_most capitalize ceil compact concat default divided_by downcase escape"  # noqa: SIM905  reads best
    " first floor last map minus modulo newline_to_br plus reverse round size slice sort"
    " split strip sum truncate upcase url_encode where".split()
)
LONGEST = 1_000_000  # characters that a filter may make
BITS = 256  # of a whole number
_STYLES = frozenset({"short", "medium", "long", "full"})

type Filter = Callable[..., object]


def install(environment: Environment) -> None:
    """Leave the environment with these filters and no others."""
    kept = {name: call for name, call in environment.filters.items() if name in KEPT}
    environment.filters = {
        **kept,
        "replace": replace,
        "remove": remove,
        "append": _bounded(environment.filters["append"]),
        "prepend": _bounded(environment.filters["prepend"]),
        "uniq": uniq,
        "join": _join(environment.filters["join"]),
        "times": _times(environment.filters["times"]),
        "date": in_words,
        "money": money,
        "number": number,
    }


@string_filter
def replace(text: str, old: object, new: object = "") -> str:
    """Each occurrence of a text by another."""
    return _replaced(text, str(old), new if isinstance(new, str) else str(new))


@string_filter
def remove(text: str, old: object) -> str:
    """A text without another one."""
    return _replaced(text, str(old), "")


def _replaced(text: str, pattern: str, instead: str) -> str:
    if not pattern or text.count(pattern) * len(instead) > LONGEST:
        raise FilterArgumentError("the text to replace is empty, or the result too long", token=None)
    return text.replace(pattern, instead)  # of escaped text, escaped


def _join(joined: Filter) -> Filter:
    @with_environment
    @sequence_filter
    def join(items: Iterable[object], separator: object = " ", *, environment: Environment) -> object:
        found, between = list(items), str(separator)
        size = sum(len(one) if isinstance(one, str) else 0 for one in found) + len(between) * len(found)
        if size > LONGEST:
            raise FilterArgumentError("the joined text is too long", token=None)
        return joined(found, separator, environment=environment)

    return join


def _bounded(added: Filter) -> Filter:
    def bounded(text: object, more: object) -> object:
        made = added(text, more)
        if isinstance(made, str) and len(made) > LONGEST:
            raise ResourceLimitError("a text that is too long", token=None)
        return made

    return bounded


@sequence_filter
def uniq(items: Iterable[object], key: object = None) -> list[object]:
    """Each item once, or each that differs in a property."""
    found: dict[str, object] = {}
    for one in items:
        compared = one
        if key is not None:
            if not isinstance(one, dict):
                raise FilterArgumentError(f"there is no property {key}", token=None)
            compared = one.get(key)
        found.setdefault(json.dumps(compared, sort_keys=True, default=str), one)
    return list(found.values())


def _times(multiplied: Filter) -> Filter:
    def times(one: object, other: object) -> object:
        product = multiplied(one, other)
        if isinstance(product, int) and product.bit_length() > BITS:
            raise FilterArgumentError("the number is too large", token=None)
        return product

    return times


@with_context
@liquid_filter
def in_words(value: object, style: object = "long", *, context: RenderContext) -> str:
    """A day or a time (ISO 8601) as the reader's language writes it."""
    length = str(style)
    if length not in _STYLES:
        raise FilterArgumentError(f"a date is {', '.join(sorted(_STYLES))}", token=None)
    try:
        if "T" in str(value) or " " in str(value):
            return format_datetime(
                datetime.fromisoformat(str(value)), _style(length), locale=_locale(context)
            )
        return format_date(date.fromisoformat(str(value)), _style(length), locale=_locale(context))
    except ValueError:
        raise FilterArgumentError("a date looks like 2026-11-27", token=None) from None


@with_context
@liquid_filter
def money(value: object, currency: object = "EUR", *, context: RenderContext) -> str:
    """An amount in a currency (ISO 4217), as the reader's language writes it."""
    code = str(currency)
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise FilterArgumentError("a currency looks like EUR", token=None)
    return format_currency(_number(value), code.upper(), locale=_locale(context))


@with_context
@liquid_filter
def number(value: object, *, context: RenderContext) -> str:
    """A number as the reader's language writes it."""
    return format_decimal(_number(value), locale=_locale(context))


def _style(length: str) -> Any:
    return length


def _number(value: object) -> Decimal:
    text = "" if isinstance(value, bool) else str(value)
    try:
        found = Decimal(text) if len(text) <= 40 else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or abs(found.adjusted()) > 40:
        raise FilterArgumentError("an amount looks like 1234.50", token=None)
    return found


def _locale(context: RenderContext) -> Locale:
    try:
        return Locale.parse(str(context.globals.get("language", "en")).replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return Locale("en")
