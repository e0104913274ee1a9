"""Lists of tags, `v=DMARC1; p=none`: the form of DMARC (RFC 7489 §6.4) and DKIM records (RFC 6376 §3.2)."""

from __future__ import annotations

import re

_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*([!-:<-~\s]*?)\s*")


class Malformed(Exception):
    """No list of tags."""


def parse(text: str) -> dict[str, str]:
    """The tags in their order, names in lower case.

    Raises:
        Malformed: a piece is none, or a tag is there twice.
    """
    found: dict[str, str] = {}
    for piece in text.strip().removesuffix(";").split(";"):
        tag = _TAG.fullmatch(piece)
        if tag is None or tag[1].lower() in found:
            raise Malformed
        found[tag[1].lower()] = tag[2]
    return found
