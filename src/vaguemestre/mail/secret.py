"""A secret in memory: a password, on its way from the vault to one SASL exchange.

It has no `repr`, no equality by value, no pickle; the only way to the text is `reveal`, and a search for
that word lists every place where a secret is used.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NoReturn

_GROUPS = re.compile(r"[A-Za-z]{4}(?:\s[A-Za-z]{4}){3}")


class Shape(StrEnum):
    """What may be told of a secret's form without telling any of it."""

    ORDINARY = "ordinary"
    BLANK_EDGE = "blank_edge"  # a blank before or after it, as a copied one has
    GROUPED = "grouped"  # four groups of four letters: an app password as its page shows it


class Secret:
    """Text that is never printed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    @property
    def shape(self) -> Shape:
        """Its form, as far as that explains a refusal."""
        if self._text != self._text.strip():
            return Shape.BLANK_EDGE
        return Shape.GROUPED if _GROUPS.fullmatch(self._text) else Shape.ORDINARY

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
