"""SQLite's statistics of its memory, which nobody here reads: switched off.

As most systems build it, it counts each allocation under a lock that all threads share: two for each value
that is handed to a statement. It is told so before a process uses it; Python's module has no word for that.
Where it is in use by then, or built into Python, it goes on counting; where it is built to count none, there
is nothing to tell.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec

_OK = 0
_STATISTICS = 9  # SQLITE_CONFIG_MEMSTATUS
_COUNTS_NONE = b"DEFAULT_MEMSTATUS=0"


@cache  # what is not counted is not seen to be in use
def count_none() -> bool:
    """Have SQLite count no allocations in this process; whether it was told. Only the first call does it."""
    module = find_spec("_sqlite3")
    try:
        library = ctypes.CDLL(module.origin if module else "")  # with the very one that Python uses
        if library.sqlite3_compileoption_used(_COUNTS_NONE) or library.sqlite3_memory_used():
            return False
        if library.sqlite3_shutdown() != _OK:
            return False
        told: bool = library.sqlite3_config(_STATISTICS, 0) == _OK
    except (OSError, AttributeError):
        return False
    return library.sqlite3_initialize() == _OK and told
