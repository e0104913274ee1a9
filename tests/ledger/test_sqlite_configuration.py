"""SQLite counts no allocations and locks no connection, where nobody used it before."""

import subprocess
import sys

ALL = """
import ctypes, sqlite3
import _sqlite3
from vaguemestre.ledger.sqlite.configuration import configure

def used():
    open = sqlite3.connect(":memory:")
    open.execute("CREATE TABLE one (two)")
    return open, ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used()

def locks():
    library, opened = ctypes.CDLL(_sqlite3.__file__), ctypes.c_void_p()
    library.sqlite3_db_mutex.restype = ctypes.c_void_p
    library.sqlite3_open(b":memory:", ctypes.byref(opened))
    return library.sqlite3_db_mutex(opened) is not None

class Library(ctypes.CDLL):
    asked = []

    def __getattr__(self, name):
        self.asked.append(name)
        return super().__getattr__(name)

ctypes.CDLL = Library
"""
NOT_USED = "print(configure(), used()[1])"
LOCKS = "print(locks())"
LOCKS_NONE = "print(configure(), locks())"
IN_USE = "open, found = used(); print(found > 0, configure())"
TWICE = "configure(); open, _ = used(); print(configure(), Library.asked.count('sqlite3_shutdown'))"
BUILT_SO = """
Library.sqlite3_compileoption_used = staticmethod(lambda option: option == b"DEFAULT_MEMSTATUS=0")
print(configure(), Library.asked.count("sqlite3_shutdown"))
"""


def said(program):
    done = subprocess.run([sys.executable, "-c", ALL + program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_sqlite_counts_no_allocations_once_it_was_told_before_a_database_is_open():
    assert said(NOT_USED) == ["True", "0"]


def test_sqlite_locks_no_connection_once_it_was_told():
    assert said(LOCKS) == ["True"]
    assert said(LOCKS_NONE) == ["True", "False"]


def test_sqlite_that_is_in_use_is_told_nothing():
    assert said(IN_USE) == ["True", "False"]


def test_a_second_call_stops_nothing_under_an_open_database():
    assert said(TWICE) == ["True", "1"]


def test_sqlite_that_cannot_tell_whether_it_is_in_use_is_told_nothing():
    assert said(BUILT_SO) == ["False", "0"]
