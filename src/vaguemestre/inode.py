"""Which file it is, told from every other, one that takes its place included.

A file system gives the number of a deleted file to the next that is made, ext4 at once: a directory that is
deleted and copied back has the numbers it had. So the number is told with the file's birth, which no program
sets. It is asked for without opening the file: closing it would drop the locks that SQLite holds on it.

Where birth is not kept (NFS, some FUSE), or the C library does not tell it, the number is all.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_SIZE = 256  # of `struct statx`, on every machine
_MASK, _BIRTH = 0, 80  # where they stand in it


def named(path: Path) -> str:
    """The file's number and birth, as `file=` and `born=`.

    Raises:
        OSError: there is none.
    """
    number, birth = path.stat().st_ino, _birth(path)
    return f"file={number} born={birth}" if birth else f"file={number}"


def _birth(path: Path) -> str:
    """In seconds since the epoch; "" where it is not known."""
    statx = getattr(ctypes.CDLL(None), "statx", None)
    told = ctypes.create_string_buffer(_SIZE)
    if statx is None or statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, told):
        return ""
    (mask,) = struct.unpack_from("=I", told, _MASK)
    seconds, nanoseconds = struct.unpack_from("=qI", told, _BIRTH)
    return f"{seconds}.{nanoseconds:09}" if mask & _STATX_BTIME else ""
