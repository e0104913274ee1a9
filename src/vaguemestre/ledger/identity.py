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
    digits = _drawn()
    return f"{digits[:12]}7{digits[13:16]}{_VARIANT[digits[16]]}{digits[17:]}"


def new_name() -> str:
    """A fresh one as text, as people and programs get it."""
    digits = _drawn()
    last = f"{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{last}"


def _drawn() -> str:
    """Time and chance, yet without version and variant."""
    return ((time.time_ns() // 1_000_000).to_bytes(6) + os.urandom(10)).hex()
