"""A server's words with something else in place of what could give the secret away.

Servers repeat what they do not understand: as it was, in base64, in capitals, cut off, or folded over the
lines of a reply. So the secret is looked for in clear and as it is written in web pages, addresses and
quotes; in base64 wherever it begins in what is encoded, of which the beginning is enough; and beyond the end
of a line, whatever blanks and enhanced status stand between. Nothing fails here.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable
from urllib.parse import quote

from vaguemestre.mail.secret import Secret

type Lines = tuple[bytes, ...]
type _Span = tuple[int, int]
type _Sought = tuple[bytes, bytes]  # what it begins with, and how it may go on

_LEAST = 4  # octets; a shorter form would match anything
_LONG = 8  # octets of a form that is looked for in capitals too, and of a beginning that gives base64 away
_BLANKS = b" \t\r\n\v\f"
_NOTHING = rb"(?!)"
_LEAD = re.compile(rb"\s*(?:[245]\.\d{1,3}\.\d{1,3}(?=\s|$))?")  # RFC 2034 §4: on each line of a reply


class Mask:
    """See the module; called with the lines of a reply, which stay as they are where there is none of it."""

    def __init__(self, login: str, secret: Secret | None, shown: str) -> None:
        word = "" if secret is None else secret.reveal()
        clear, encoded = (_clear(word), _encoded(login, word)) if word else (set(), set())
        # "Authentication" has "auth" in it, which is somebody's password: what is short is taken as it is.
        self._short = _sought(form for form in clear | encoded if _LEAST <= len(form) < _LONG)
        self._long = _sought(form.lower() for form in clear if len(form) >= _LONG)
        self._long += _sought((form.lower() for form in encoded if len(form) >= _LONG), _LONG)
        self._shown = shown.encode()
        # One look is enough for nearly every reply.
        begins = [form.lower() for form, _ in self._short + self._long]
        self._any = re.compile(b"|".join(map(re.escape, begins)) or _NOTHING).search

    def __call__(self, lines: Lines) -> Lines:
        """The lines, masked."""
        if len(lines) == 1 and self._any(lines[0].lower()) is None:
            return lines
        spans = [self._spans(line) for line in lines]
        if len(lines) > 1:
            self._add_over_lines(spans, lines)
        return tuple(self._without(line, here) for line, here in zip(lines, spans, strict=True))

    def _spans(self, said: bytes) -> list[_Span]:
        if self._any(said.lower()) is None:
            return []
        return [*_found(said, self._short), *_found(said.lower(), self._long)]

    def _add_over_lines(self, spans: list[list[_Span]], lines: Lines) -> None:
        """What begins on one line and ends on another, to each of them."""
        leads = [0, *(_lead(line) for line in lines[1:])]
        bare = [line[lead:].translate(None, _BLANKS) for line, lead in zip(lines, leads, strict=True)]
        folded = _merged(self._spans(b"".join(bare)))
        at = first = 0
        for here, line, lead, text in zip(spans, lines, leads, bare, strict=True):
            end, places = at + len(text), None
            while first < len(folded) and max(folded[first][0], at) < end:
                places = places or [place for place in range(lead, len(line)) if line[place] not in _BLANKS]
                starts, ends = folded[first]
                here.append((places[max(starts - at, 0)], places[min(ends, end) - at - 1] + 1))
                if ends > end:
                    break  # it goes on in the next line
                first += 1
            at = end

    def _without(self, line: bytes, spans: list[_Span]) -> bytes:
        if not spans:
            return line
        kept, at = [], 0
        for start, end in sorted(spans):
            if start >= at:
                kept += [line[at:start], self._shown]
            at = max(at, end)
        return b"".join([*kept, line[at:]])


def _sought(forms: Iterable[bytes], least: int | None = None) -> list[_Sought]:
    """So many octets of a form are its beginning; by default all."""
    return [(form[:least], form[least:] if least else b"") for form in sorted(forms)]


def _found(said: bytes, sought: list[_Sought]) -> list[_Span]:
    spans = []
    for form, rest in sought:
        at = 0
        while (start := said.find(form, at)) >= 0:
            at = start + len(form)
            for octet in rest:
                if at == len(said) or said[at] != octet:
                    break
                at += 1
            spans.append((start, at))
    return spans


def _merged(spans: list[_Span]) -> list[_Span]:
    """In order, and none within another: a reply may have as many of them as lines."""
    found: list[_Span] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _lead(line: bytes) -> int:
    found = _LEAD.match(line)
    return found.end() if found else 0


def _clear(word: str) -> set[bytes]:
    """In clear, also without its blanks: a line may end at one."""
    quoted = word.replace("\\", "\\\\").replace('"', '\\"')
    forms = {word, html.escape(word), quote(word), quote(word, safe=""), quoted}
    return {form.encode() for form in forms | {"".join(form.split()) for form in forms}}


def _encoded(login: str, word: str) -> set[bytes]:
    whole = (word, f"\0{login}\0{word}", f"{login}\0{login}\0{word}", f"{login}\0{word}", f"{login}:{word}")
    forms = {base64.b64encode(text.encode()) for text in whole} | set(_within(word))
    return forms | {form.replace(b"+", b"-").replace(b"/", b"_") for form in forms}


def _within(word: str) -> tuple[bytes, ...]:
    """The word in base64, wherever it begins in what is encoded, less what depends on its neighbours."""
    octets = word.encode()
    shifted = [base64.b64encode(b"\0" * shift + octets) for shift in range(3)]
    bits = [8 * (shift + len(octets)) for shift in range(3)]
    return tuple(text[-(-8 * shift // 6) : bits[shift] // 6] for shift, text in enumerate(shifted))
