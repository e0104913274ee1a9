"""Text without what opens a door: links, codes and passwords are replaced by dots.

For streams whose messages carry such things: whoever looks at the console shall recognise a message and not
be able to use it. What might be one is taken for one: too much is hidden rather than too little. A secret
that looks like an ordinary word, and is not announced as one, cannot be told from it. Pure; nothing fails.
"""

from __future__ import annotations

import re

DOTS = "••••"

_LINK = re.compile(
    r"\b(?:[a-z][a-z0-9+.-]*://|www\.|mailto:)\S+|(?<!\S)[\w.-]+\.[a-z]{2,}/\S+", re.IGNORECASE
)
# "Your code: ...", "Mot de passe = ...": what follows on the line.
_ANNOUNCED = re.compile(
    r"(\b(?:code|codice|pin|otp|token|jeton|password|passwort|mot de passe|parola|clé|chiave|key)\b"
    r"[^\n:=]{0,40}[:=]\s*)\S[^\n]*",
    re.IGNORECASE,
)
_GROUPS = re.compile(r"\d{2,}(?:[ .\u00a0\u202f-]\d{2,})+")  # 123 456
_MIXED = re.compile(r"(?<![\w@])(?=[\w-]*\d)[A-Za-z0-9][\w-]{3,}(?![\w@])")  # K7QX-22ZP
_CAPITALS = re.compile(r"\b[A-Z]{2,}(?:-[A-Z]{2,})+\b|\b[A-Z]{6,}\b")


def redacted(text: str) -> str:
    """The text, with dots in place of what opens a door."""
    for pattern, shown in (
        (_LINK, DOTS),
        (_ANNOUNCED, rf"\1{DOTS}"),
        (_GROUPS, DOTS),
        (_MIXED, DOTS),
        (_CAPITALS, DOTS),
    ):
        text = pattern.sub(shown, text)
    return text
