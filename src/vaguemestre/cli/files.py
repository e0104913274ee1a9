"""Files that a command is given."""

from __future__ import annotations

import sys
from pathlib import Path

from vaguemestre.cli.failure import Failed


def octets_of(path: Path, name: str) -> bytes:
    """The whole file that the argument `name` names.

    Raises:
        Failed: it cannot be read, with the reason.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failed(f"{name}: {path} cannot be read: {error.strerror}.") from None


def text_of(name: str, most: int = -1) -> str:
    """A text file, `-` for standard input; no more than so many characters of it.

    Raises:
        Failed: it cannot be read, with the reason.
    """
    try:
        if name == "-":
            return sys.stdin.read(most)
        with Path(name).open(encoding="utf-8") as file:
            return file.read(most)
    except OSError as error:
        raise Failed(f"The file {name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Failed(f"The file {name} cannot be read: it is no text in UTF-8.") from None
