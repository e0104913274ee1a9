"""What the next bytes of a dialogue are."""

from __future__ import annotations

from enum import Enum, auto


class Mode(Enum):
    """Of a dialogue, at any instant one."""

    COMMAND = auto()
    RESPONSE = auto()  # to a challenge of AUTH
    CONTENT = auto()  # behind DATA
    CHUNK = auto()  # behind BDAT
    WAITING = auto()  # for the result of an effect; bytes are only kept
    CLOSED = auto()  # bytes are thrown away
