"""What this process owes its parent and its terminal.

A child of `up` dies with it (Linux: PR_SET_PDEATHSIG) and tells it once that it is ready, through a
descriptor that `up` handed down. Standard streams that were closed are opened on the null device, since the
next file opened would take their number.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

PARENT = "VAGUEMESTRE_PARENT"  # the process id of `up`
READY = "VAGUEMESTRE_READY_FD"
_PR_SET_PDEATHSIG = 1


def open_standard_streams() -> None:
    """Make sure that descriptors 0, 1 and 2 are open."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115  lives as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115


def flush_standard_streams() -> None:
    """Write what is buffered; a reader that went away is nobody's error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # The interpreter flushes once more at its end, then into nothing.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def die_with_parent() -> None:
    """In a child of `up`: ask for SIGTERM when it dies, so as to drain; leave if it has died already."""
    parent = os.environ.pop(PARENT, "")
    if parent:
        die_with(int(parent), signal.SIGTERM)


def die_with(parent: int, number: signal.Signals) -> None:
    """Get a signal when the parent dies; leave if it has died already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit(1)


def ready_descriptor() -> int | None:
    """Where to tell `up` that the work begins; None where it did not start this process."""
    descriptor = os.environ.pop(READY, "")
    return int(descriptor) if descriptor else None


def tell_ready(descriptor: int | None) -> None:
    """Tell it, once."""
    if descriptor is not None:
        with suppress(OSError):
            os.write(descriptor, b"\n")
            os.close(descriptor)
