"""What is made once for a test run, by whichever worker needs it first.

It lies in a directory that all workers of the run see, which the variable `NAME` names.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

NAME = "PYTEST_SHARED"


def begin(at_end=lambda: None):
    """Make the directory, unless the run has one; whoever does removes it at exit, after `at_end()`."""
    if NAME in os.environ:
        return
    made = Path(tempfile.mkdtemp(prefix="vgm-shared-"))
    made.chmod(0o711)  # PostgreSQL is run by an account of its own
    os.environ[NAME] = str(made)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    atexit.register(at_end)


def folder():
    """The directory."""
    return Path(os.environ[NAME])


def made_once(name, make):
    """The path of that name in the directory. Whoever comes first has `make(path)` make it; others wait."""
    done = folder() / name
    with done.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            half = done.with_name(f"{name}.half")
            shutil.rmtree(half, ignore_errors=True)  # of a try that failed
            make(half)
            half.rename(done)
    return done
