"""What SQLite is told before a process uses it: to leave out two things that nobody here needs.

Its statistics of memory: as most systems build it, it counts each allocation under a lock that all threads
share, two for each value that is handed to a statement. And a lock around each call on a connection: Django
keeps a connection for each thread, and no thread has that of another.

Python's module has no word for either. Where SQLite is in use by then, or may be, since it was built to count
nothing and cannot tell, or where it is built into Python, it goes on as it was, and nothing but time is lost.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec

_OK = 0
_MULTITHREAD = 2  # SQLITE_CONFIG_MULTITHREAD: as many threads as one likes, each with its own connection
_STATISTICS = 9  # SQLITE_CONFIG_MEMSTATUS
_COUNTS_NONE = b"DEFAULT_MEMSTATUS=0"


@cache  # what is not counted is not seen to be in use
def configure() -> bool:
    """Tell SQLite so in this process; whether it was told. Only the first call does it."""
    module = find_spec("_sqlite3")
    try:
        library = ctypes.CDLL(module.origin if module else "")  # with the very one that Python uses
        if library.sqlite3_compileoption_used(_COUNTS_NONE) or library.sqlite3_memory_used():
            return False
        if library.sqlite3_shutdown() != _OK:
            return False
        told = (library.sqlite3_config(_MULTITHREAD), library.sqlite3_config(_STATISTICS, 0))
    except (OSError, AttributeError):
        return False
    return library.sqlite3_initialize() == _OK and told == (_OK, _OK)
