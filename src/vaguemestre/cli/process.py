"""What this process owes its parent, its children and its terminal.

A child of `up` is forked from it. One that `up` keeps running dies with it (Linux: PR_SET_PDEATHSIG) and
tells it once that it is ready, through a descriptor that `up` handed down. Standard streams that were closed
are opened on the null device, since the next file opened would take their number.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

READY = "VAGUEMESTRE_READY_FD"
_AGAIN = 0.5  # seconds
_PR_SET_PDEATHSIG = 1
_ANSWERED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)  # by the supervisor, in its own way


class Born(BaseException):
    """Raised where a child begins, so that all its parent had open is closed on the way up.

    Attributes:
        words: the command that it is to run.
    """

    def __init__(self, *words: str) -> None:
        super().__init__(*words)
        self.words = words


def fork(*words: str, ready: int | None = None) -> int:
    """A child of this process that runs a command; this one must have one thread, and no database open.

    The child answers signals as a new program does, has a group of its own, since Ctrl-C is for its parent,
    and nothing to read. `ready` is the descriptor on which it is to say that its work begins; such a child
    dies with its parent, another one ends what it began.

    Raises:
        Born: in the child.
        OSError: there is no memory for it, or there are too many processes.
    """
    flush_standard_streams()
    parent = os.getpid()
    # What came before the child answers for itself would be told to its parent's selector.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED)
    try:
        child = os.fork()
        if child:
            return child
        _begin(words[0], parent, ready)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    raise Born(*words)


def _begin(name: str, parent: int, ready: int | None) -> None:
    signal.set_wakeup_fd(-1)
    for number in _ANSWERED:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        _show_as(name)
    except OSError as error:  # which the parent alone may take for a fork that failed
        raise SystemExit(f"{name} cannot start: {error}.") from None
    if ready is not None:
        os.environ[READY] = str(ready)
        die_with(parent, signal.SIGTERM)


def _show_as(name: str) -> None:
    """Have the list of processes show `vaguemestre NAME`, in the place of the words of this start."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, proc(5)
    shown = f"{sys.argv[0]}\0{name}".encode()[: max(end - start - 1, 0)]
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, shown, len(shown))


def open_standard_streams() -> None:
    """Make sure that descriptors 0, 1 and 2 are open."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115  lives as long as the process
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal of another encoding gets an escape for what it has no letter for.
        sys.stdout.reconfigure(errors="backslashreplace")
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


def die_with(parent: int, number: signal.Signals) -> None:
    """Get a signal when the parent dies; leave if it has died already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit(1)


def repeat_signals() -> None:
    """Have the main thread, which calls this, be told to end again and again, once it was told.

    Granian misses what it is told between its first moment as a server and the next.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_repeat, args=(reader, threading.get_ident()), daemon=True).start()


def _repeat(reader: int, main: int) -> None:
    while (number := os.read(reader, 1)[0]) not in {signal.SIGTERM, signal.SIGINT}:
        pass
    while True:
        time.sleep(_AGAIN)
        signal.pthread_kill(main, number)


def is_alone() -> bool:
    """Whether this process was started by itself, and not by `up`, which has looked for its children."""
    return READY not in os.environ


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
