"""Large contents on their way in: their chunks are in the ledger before their message is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parcel:
    """A content that is stored already, all of it.

    Attributes:
        id: of its row; its chunks stand under the message number `-id`, which becomes the message's own.
        size: bytes, the header section included.
        sha256: of all bytes, in hexadecimal digits.
    """

    id: int
    size: int
    sha256: str
