"""Rows for a spreadsheet program: CSV (RFC 4180), with the mark by which such programs know UTF-8.

A text that a spreadsheet would take for a formula gets an apostrophe before it, and stays a text. Numbers
stay numbers. Never fails.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

MARK = "\ufeff"  # at the beginning of a file
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # wide ones too

type Cell = str | int


def sheet(rows: Iterable[Iterable[Cell]]) -> bytes:
    """A whole file."""
    return (MARK + "".join(map(line, rows))).encode()


def line(cells: Iterable[Cell]) -> str:
    """One row."""
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_NONNUMERIC).writerow(map(_harmless, cells))
    return written.getvalue()


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and _seems_formula(cell) else cell


def _seems_formula(text: str) -> bool:
    return text.startswith(_FORMULAS) or text.lstrip().startswith(_FORMULAS)
