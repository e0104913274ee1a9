"""Public identifiers: UUID version 7 (RFC 9562 §5.7), sortable by time, made outside the database."""

from __future__ import annotations

import os
import time
from uuid import UUID

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def new_id() -> UUID:
    """A fresh identifier; its first 48 bits are the time in milliseconds."""
    return UUID(new_digits())


def new_digits() -> str:
    """The digits of a fresh one: text that both databases take for an identifier."""
    d = _drawn()
    return f"{d[:12]}7{d[13:16]}{_VARIANT[d[16]]}{d[17:]}"


def new_name() -> str:
    """A fresh one as text, as people and programs get it."""
    d = _drawn()
    return f"{d[:8]}-{d[8:12]}-7{d[13:16]}-{_VARIANT[d[16]]}{d[17:20]}-{d[20:]}"


def new_names(count: int) -> list[str]:
    """Fresh ones of one moment, in their order: they rise by chance (RFC 9562 §6.2, method 2).

    Chance is made once for all, and what comes in order goes to the end of an index.
    """
    moment, drawn = _moment().hex(), os.urandom(2 + 8 * count).hex()
    before = f"{moment[:8]}-{moment[8:]}-7{drawn[:3]}-{_VARIANT[drawn[3]]}"
    behind = sorted([drawn[at + 1 : at + 16] for at in range(4, len(drawn), 16)])
    return [f"{before}{digits[:3]}-{digits[3:]}" for digits in behind]


def _drawn() -> str:
    """Time and chance, yet without version and variant."""
    return (_moment() + os.urandom(10)).hex()


def _moment() -> bytes:
    return (time.time_ns() // 1_000_000).to_bytes(6)
