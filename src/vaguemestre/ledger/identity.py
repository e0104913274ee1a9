"""Public identifiers: UUID version 7 (RFC 9562 §5.7), sortable by time, made outside the database."""

from __future__ import annotations

import os
import time
from uuid import UUID

_RANDOM = 0x0FFF_3FFF_FFFF_FFFF_FFFF  # bits of the last 80
_MARKS = 0x7000_8000_0000_0000_0000  # version and variant


def new_id() -> UUID:
    """A fresh identifier; its first 48 bits are the time in milliseconds."""
    return UUID(int=_new())


def new_digits() -> str:
    """The digits of a fresh one: text that both databases take for an identifier."""
    return _new().to_bytes(16).hex()


def new_name() -> str:
    """A fresh one as text, as people and programs get it."""
    digits = new_digits()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _new() -> int:
    stamp = time.time_ns() // 1_000_000
    return stamp << 80 | int.from_bytes(os.urandom(10)) & _RANDOM | _MARKS
