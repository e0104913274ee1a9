"""How commands print: JSON for programs, short text for people."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from vaguemestre.cli.failure import Failed
from vaguemestre.cli.process import flush_standard_streams

# Control characters but the line feed, and marks that turn the direction of writing.
_STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def show(arguments: argparse.Namespace, value: object, text: str) -> None:
    """Print `value` as JSON where --json was given, else `text`."""
    if arguments.json:
        say(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))
    elif text:
        say(inert(text))


def say(text: str) -> None:
    """Print it, now: what is to go into a file is there, or told to be missing.

    A reader that went away is nobody's error.

    Raises:
        Failed: it cannot be written.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        flush_standard_streams()
        if not isinstance(error, BrokenPipeError):
            raise Failed(f"Standard output cannot be written: {error.strerror}.") from None


def inert(text: str) -> str:
    """The text without what would steer a terminal: a subject or a server's words may hold anything."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """The rows under a head, columns two blanks apart; one sentence where there is none."""
    if not rows:
        return "None."
    cells = [[name.replace("_", " ") for name in columns]]
    cells += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def listing(facts: Mapping[str, object]) -> str:
    """One fact a line."""
    width = max(map(len, facts), default=0)
    return "\n".join(
        f"{name.replace('_', ' ').ljust(width)}  {_cell(value)}" for name, value in facts.items()
    )


def _cell(value: object) -> str:
    match value:
        case None | "" | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="seconds")
        case list() | tuple():
            return ", ".join(map(_cell, value))
        case Mapping():
            return (
                ", ".join(
                    f"{name.replace('_', ' ')} {_cell(item)}"
                    for name, item in value.items()
                    if item or item == 0
                )
                or "-"
            )
    return " ".join(str(value).splitlines())


def _plain(value: object) -> str:
    match value:
        case date():  # a datetime is one
            return value.isoformat()
        case UUID():
            return str(value)
    raise TypeError(type(value).__name__)
