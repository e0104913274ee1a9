"""SQLite counts no allocations, where nobody used it before."""

import subprocess
import sys

PROGRAM = """
import ctypes, sqlite3
import _sqlite3
from vaguemestre.ledger.sqlite.allocations import count_none

def used():
    open = sqlite3.connect(":memory:")
    open.execute("CREATE TABLE one (two)")
    found = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used()
    return open, found

open, found = used()
print(found > 0, count_none())
open.close()
print(count_none(), used()[1])
"""


def test_sqlite_counts_no_allocations_once_it_was_told_before_a_database_is_open():
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "False", "True", "0"]
