"""What a receiver wrote about a message: the field Authentication-Results (RFC 8601), as a person pastes it.

A person pastes more than the field: other fields around it, lines as their mail program wrapped them. The
first Authentication-Results in the text is read, with those right behind it: some receivers write one for
each check. What stands further down may be anybody's (§5). Without its name the text is taken for its value.
Comments are passed over, values may be quoted (RFC 5322 §3.2). What is no result is passed over; the text is
bounded, and nothing in it is ever more than text. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

LONGEST = 20_000  # characters that are read
MOST = 20  # results

_FIELD = re.compile(r"\n(?=[A-Za-z0-9-]+[ \t]*:)")
_NAMES = ("authentication-results", "arc-authentication-results")
# Each repetition is bounded: the text is anybody's, and is searched in linear time.
_RESULT = re.compile(
    r"([a-z0-9-]{1,40})(?: ?/ ?[0-9]{1,3})? ?= ?([a-z]{1,40})(?![a-z0-9-])(.*)", re.IGNORECASE
)
_PROPERTY = re.compile(
    r'\b([a-z]{1,20}) ?\. ?([a-z0-9_-]{1,40}) ?= ?("[^"]{0,400}"|[^ ;"]{1,400})', re.IGNORECASE
)
_IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,253}")


class Method(StrEnum):
    """What is told; others are passed over."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"


class Verdict(StrEnum):
    """How a check ended (RFC 8601 §2.7)."""

    PASS = "pass"  # noqa: S105  a verdict, no secret
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    OTHER = "other"


_OLDER = {"hardfail": Verdict.FAIL, "policy": Verdict.FAIL, "bestguesspass": Verdict.NEUTRAL}


@dataclass(frozen=True)
class Result:
    """One check.

    Attributes:
        domain: whom it speaks of: of the reverse-path, of the signature, of From; "" where it does not say.
    """

    method: Method
    verdict: Verdict
    domain: str = ""


@dataclass(frozen=True)
class Reading:
    """All of a field. `receiver` is who wrote it, as it calls itself."""

    receiver: str
    results: tuple[Result, ...]

    def best(self, method: Method, aligned: Callable[[str], bool] = bool) -> Result | None:
        """A message may be signed twice, by the provider and for the sender: one signature that passes is
        enough, and one that is aligned says more.
        """
        of_method = [result for result in self.results if result.method is method]
        passed = [one for one in of_method if one.verdict is Verdict.PASS]
        return next((one for one in passed if aligned(one.domain)), next(iter(passed or of_method), None))


def read(text: str) -> Reading | None:
    """What was pasted; None where nothing in it is a result."""
    fields = [_pieces(value) for value in _values(text[:LONGEST].replace("\r", ""))]
    results = [result for pieces in fields for result in map(_result, pieces) if result is not None]
    if not results:
        return None
    return Reading(_receiver(fields[0]), tuple(results[:MOST]))


def _values(text: str) -> list[str]:
    """The first field of that name, and those of its name that follow at once."""
    fields = [field.partition(":") for field in _FIELD.split(text.strip())]
    for wanted in _NAMES:
        named = [name.strip().lower() == wanted for name, _colon, _value in fields]
        if any(named):
            first = named.index(True)
            behind = named.index(False, first) if False in named[first:] else len(named)
            return [value for _name, _colon, value in fields[first:behind]]
    return [text]


def _receiver(pieces: list[str]) -> str:
    """Who wrote it; "" where it does not say. An ARC field counts before that (RFC 8617 §4.1.1)."""
    told = next((piece for piece in pieces if not piece.startswith("i=")), "")
    identity = _IDENTITY.match(told)
    return "" if identity is None or "=" in told else identity[0]


def _pieces(text: str) -> list[str]:
    """What stands between semicolons, blanks for comments; comments may be nested, quotes hide both."""
    pieces, depth, quoted, escaped = [""], 0, False, False
    for character in " ".join(text.split()):
        if escaped or character == "\\":
            escaped = not escaped
        elif character == '"' and not depth:
            quoted = not quoted
        elif character in "()" and not quoted:
            depth = depth + 1 if character == "(" else max(0, depth - 1)
            pieces[-1] += " "
            continue
        if character == ";" and not quoted and not depth:
            pieces.append("")
        elif not depth:
            pieces[-1] += character
    return [" ".join(piece.split()) for piece in pieces]


def _result(piece: str) -> Result | None:
    found = _RESULT.match(piece)
    if found is None or found[1].lower() not in {*Method}:
        return None
    method, word = Method(found[1].lower()), found[2].lower()
    verdict = Verdict(word) if word in {*Verdict} else _OLDER.get(word, Verdict.OTHER)
    return Result(method, verdict, _domain(method, found[3]))


_SPEAKS_OF = {
    Method.SPF: ("mailfrom", "helo"),
    Method.DKIM: ("d", "i"),
    Method.DMARC: ("from",),
}


def _domain(method: Method, rest: str) -> str:
    told = {name.lower(): value.strip('"') for _type, name, value in _PROPERTY.findall(rest)}
    value = next((told[name] for name in _SPEAKS_OF[method] if name in told), "")
    domain = value.rpartition("@")[2].lower()
    return domain if _IDENTITY.fullmatch(domain) else ""
