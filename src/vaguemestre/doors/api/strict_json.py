"""JSON as RFC 8259 has it, read strictly (400).

Refused: what is no UTF-8 or no JSON, a key that is there twice, NaN and the infinities, numbers that are too
large, what is nested more than `DEPTH` levels deep. `parsed` is quick where nothing can be wrong, as nearly
always; whatever may be is read once more, rule by rule, and the answer says what it is.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Any, NoReturn

import orjson

from vaguemestre.doors.api.problems import Rejected

DEPTH = 64  # levels of arrays and objects
_NUMBERS = frozenset({int, float})
_DOUBTFUL = re.compile(rb"\\u00(?:3[aA]|[01]|7[fF])")  # a colon, or a control character
_SUSPECT = re.compile(rb"\\(?:u00[01]|u007[fF]|u[dD][89a-fA-F]|b)")
_LARGE = 8_388_608  # octets, of which the quick parser's copies would take too much memory

type JsonObject = dict[str, Any]


class _Fault(ValueError):
    """What the parser's own rules miss."""


def parsed(raw: bytes) -> tuple[object, bool]:
    """What the text stands for, and whether a string of it may hold half a character or a control character.

    Tabs, line breaks and form feeds do not count.

    Raises:
        Rejected: see the module.
    """
    found = _quickly(raw)
    return (_strictly(raw), _is_suspect(raw)) if found is None else found


def _quickly(raw: bytes) -> tuple[object, bool] | None:
    """The same by a quicker parser; None where that might say something else.

    Of a key that is there twice it takes the last: so the colons are counted, of which each key has one and
    all others stand in strings. It rounds large numbers: whatever holds one is left to the other.
    """
    if len(raw) > _LARGE or (raw.find(b"\\u00") >= 0 and _DOUBTFUL.search(raw)):
        return None
    try:
        values: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    level, colons, suspect = [values], _colons(raw), False
    for _ in range(DEPTH + 1):
        if not level:
            return None if colons else (values, suspect)
        kinds = frozenset(map(type, level))
        if not _NUMBERS.isdisjoint(kinds):
            return None
        strings, objects, arrays = [_those(kind, level, kinds) for kind in (str, dict, list)]
        text = "".join(chain(*objects, strings)).encode()
        colons -= sum(map(len, objects)) + _colons(text)
        suspect = suspect or text.find(b"\b") >= 0 or text.find(b"\x7f") >= 0
        level = [*chain.from_iterable(map(dict.values, objects)), *chain.from_iterable(arrays)]
    return None


def _those(kind: type, values: list[Any], kinds: frozenset[type]) -> list[Any]:
    """Of values of some kinds those of one."""
    if kind not in kinds:
        return []
    return values if len(kinds) == 1 else [one for one in values if type(one) is kind]


def _colons(text: bytes) -> int:
    """How many there are; `count` looks at each octet by itself."""
    return len(text) - len(text.replace(b":", b""))


def _is_suspect(raw: bytes) -> bool:
    return raw.find(b"\x7f") >= 0 or (raw.find(b"\\") >= 0 and _SUSPECT.search(raw) is not None)


def _strictly(raw: bytes) -> object:
    try:
        values: object = json.loads(
            raw.decode(), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise Rejected(400, f"The body is not JSON as RFC 8259 has it: {_why(error)}") from None
    _refuse_deep(values)
    return values


def _why(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg}, line {error.lineno}, column {error.colno}."
        case UnicodeDecodeError():
            return "it is not UTF-8."
        case RecursionError():
            return "it is nested too deeply."
        case _Fault():
            return str(error)
        case _:
            return "a number in it is too long."


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _Fault("a key is there twice.")
    return values


def _no_number(name: str) -> NoReturn:
    raise _Fault(f"{name} is no number.")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise _Fault("a number in it is too large.")
    return number


def _refuse_deep(values: object) -> None:
    level = [values]
    for _ in range(DEPTH + 1):
        nested = [one for one in level if isinstance(one, (dict, list))]
        if not nested:
            return
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
    raise Rejected(400, f"The body is nested more than {DEPTH} levels deep.")
