"""Lists of tags, `v=DMARC1; p=none`: the form of DMARC (RFC 7489 §6.4) and DKIM records (RFC 6376 §3.2)."""

from __future__ import annotations

import re

# One class of characters each, so that a record of many blanks is read in linear time.
_NAME, _VALUE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII), re.compile(r"[!-:<-~\s]*", re.ASCII)


class Malformed(Exception):
    """No list of tags."""


def parse(text: str) -> dict[str, str]:
    """The tags in their order, names in lower case.

    Raises:
        Malformed: a piece is none, or a tag is there twice.
    """
    found: dict[str, str] = {}
    for piece in text.strip().removesuffix(";").split(";"):
        name, equals, value = piece.partition("=")
        name = name.strip().lower()
        if not (equals and _NAME.fullmatch(name) and _VALUE.fullmatch(value)) or name in found:
            raise Malformed
        found[name] = value.strip()
    return found
