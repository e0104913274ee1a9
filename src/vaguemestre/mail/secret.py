"""A secret in memory: a password, on its way from the vault to one SASL exchange.

It has no `repr`, no equality by value, no pickle; the only way to the text is `reveal`, and a search for
that word lists every place where a secret is used.
"""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Text that is never printed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
