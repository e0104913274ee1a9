"""Files that a command is given."""

from __future__ import annotations

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
