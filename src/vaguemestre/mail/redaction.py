"""Text without what opens a door: links, codes and passwords are replaced by dots.

For streams whose messages carry such things: whoever looks at the console shall recognise a message and not
be able to use it. What might be one is taken for one: too much is hidden rather than too little. A secret
that looks like an ordinary word, and is not announced as one, cannot be told from it. Pure; nothing fails,
and it takes time linear in the length, whatever somebody sends to be looked at.
"""

from __future__ import annotations

import re

DOTS = "••••"

_LINK = re.compile(
    r"[a-z0-9+.-]{0,40}://\S++|\b(?:www\.|mailto:)\S++|(?<!\S)[\w.-]+\.[a-z]{2,24}/\S++", re.IGNORECASE
)
# "Your code: ...", "Mot de passe = ...": what follows on the line.
_ANNOUNCED = re.compile(
    r"(\b(?:code|codice|pin|otp|token|jeton|password|passwort|mot de passe|parola|clé|chiave|key)\b"
    r"[^\n:=]{0,40}[:=]\s*)\S[^\n]*",
    re.IGNORECASE,
)
_GROUPS = re.compile(r"(?<!\d)\d{2,}+(?:[ .\u00a0\u202f-]\d{2,}+)+")  # 123 456
# K7QX-22ZP. First what has no digit from there on, so that the same is not looked through again and again.
_MIXED = re.compile(
    r"(?<![\w@])(?=[A-Za-z0-9])(?:((?:[^\W\d]|-)++(?![\w-]))|(?=[\w-]*\d)[A-Za-z0-9][\w-]{3,}(?![\w@]))"
)
_CAPITALS = re.compile(r"\b[A-Z]{2,}(?:-[A-Z]{2,})+\b|\b[A-Z]{6,}\b")


def redacted(text: str) -> str:
    """The text, with dots in place of what opens a door."""
    text = _LINK.sub(DOTS, text)
    text = _ANNOUNCED.sub(rf"\1{DOTS}", text)
    text = _GROUPS.sub(DOTS, text)
    text = _MIXED.sub(lambda found: found[1] or DOTS, text)
    return _CAPITALS.sub(DOTS, text)
