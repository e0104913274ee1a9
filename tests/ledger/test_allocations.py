"""SQLite counts no allocations, where nobody used it before and it was not built so."""

import subprocess
import sys

ALL = """
import ctypes, sqlite3
import _sqlite3
from vaguemestre.ledger.sqlite.allocations import count_none

def used():
    open = sqlite3.connect(":memory:")
    open.execute("CREATE TABLE one (two)")
    return open, ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used()

class Library(ctypes.CDLL):
    asked = []

    def __getattr__(self, name):
        self.asked.append(name)
        return super().__getattr__(name)

ctypes.CDLL = Library
"""
NOT_USED = "print(count_none(), used()[1])"
IN_USE = "open, found = used(); print(found > 0, count_none())"
TWICE = "count_none(); open, _ = used(); print(count_none(), Library.asked.count('sqlite3_shutdown'))"
BUILT_SO = """
Library.sqlite3_compileoption_used = staticmethod(lambda option: option == b"DEFAULT_MEMSTATUS=0")
print(count_none(), Library.asked.count("sqlite3_shutdown"))
"""


def said(program):
    done = subprocess.run([sys.executable, "-c", ALL + program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_sqlite_counts_no_allocations_once_it_was_told_before_a_database_is_open():
    assert said(NOT_USED) == ["True", "0"]


def test_sqlite_that_is_in_use_is_told_nothing():
    assert said(IN_USE) == ["True", "False"]


def test_a_second_call_stops_nothing_under_an_open_database():
    assert said(TWICE) == ["True", "1"]


def test_sqlite_that_was_built_to_count_none_is_told_nothing():
    assert said(BUILT_SO) == ["False", "0"]
