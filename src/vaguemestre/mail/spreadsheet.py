"""Rows for a spreadsheet program: CSV (RFC 4180) in UTF-8, with the mark by which such programs know it.

A text that a spreadsheet would take for a formula gets an apostrophe before it, and stays a text. Numbers
stay numbers. Never fails.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # wide ones too

type Cell = str | int


def sheet(rows: Iterable[Sequence[Cell]]) -> bytes:
    """The file."""
    written = io.StringIO(newline="")
    csv.writer(written).writerows([_harmless(cell) for cell in row] for row in rows)
    return written.getvalue().encode("utf-8-sig")


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and _seems_formula(cell) else cell


def _seems_formula(text: str) -> bool:
    return text.startswith(_FORMULAS) or text.lstrip().startswith(_FORMULAS)
