"""All processes of ours or of a peer together: what they take of the processors and hold in memory.

They are kept together by a control group (version 2), so that one which lives for a moment, or has left its
parent, is counted as well: Exim's deliveries do both. Needs root.
"""

import os
import re
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from bench.peers.peer import Missing
from system.processes import descendants
from system.product import until

EVERY = 0.1  # seconds between two looks at the memory
SHARE = 0.02  # of a processor, at most, that looking takes
RESTED = 0.025  # seconds of processor time in `PAUSE` seconds: less is rest
PAUSE = 0.5


def made_ready():
    """Raises `Missing` where no control group can be made."""
    _root()


def _root():
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = [Path(folder) for _, folder, kind, *_ in mounts if kind == "cgroup2"]
    if not found or not os.access(found[0], os.W_OK):
        raise Missing(
            "A control group", "none of version 2 can be made. Run this as root, with cgroup2 mounted"
        )
    return found[0]


class Family:
    """Exists from entering to leaving, when its processes must have ended or be about to."""

    def __enter__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="vgm-bench-", dir=_root()))
        return self

    def __exit__(self, *_):
        until(self._is_gone, 20, what="the end of all processes")

    def _is_gone(self):
        try:
            self._folder.rmdir()
        except OSError:
            return False
        return True

    def take(self, pid):
        """A process and those below it. What they start from then on belongs here by itself."""
        while strangers := {pid, *descendants(pid)} - set(self.pids()):
            for stranger in strangers:
                with suppress(ProcessLookupError):  # it has ended meanwhile
                    (self._folder / "cgroup.procs").write_text(str(stranger))

    def pids(self):
        return [int(line) for line in (self._folder / "cgroup.procs").read_text().split()]

    def cpu(self):
        """Seconds of processor time so far, in user mode and in the kernel, also of those that ended."""
        told = (self._folder / "cpu.stat").read_text()
        return int(re.search(r"^usage_usec (\d+)$", told, re.MULTILINE)[1]) / 1e6

    def memory(self):
        """Bytes now: the sum of their proportional set sizes; a shared page is divided by its users."""
        return sum(map(_proportional, self.pids()))

    def until_at_rest(self):
        until(self._rests, 60, 0, what="rest")

    def _rests(self):
        before = self.cpu()
        time.sleep(PAUSE)
        return self.cpu() - before < RESTED


def _proportional(pid):
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0  # it has ended
    found = re.search(r"^Pss:\s+(\d+) kB$", told, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


class Peak:
    """The most memory of a family from entering to leaving, as often as one may look.

    Attributes:
        bytes: so many.
    """

    def __init__(self, family):
        self.bytes = 0
        self._family, self._over = family, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        pause = 0.0
        while not self._over.wait(pause):
            started = time.thread_time()
            self.bytes = max(self.bytes, self._family.memory())
            pause = max(EVERY, (time.thread_time() - started) / SHARE)
