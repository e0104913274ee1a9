"""Where queues and databases lie while they are measured: one disk for everybody, and none in memory.

`TMPDIR` chooses it, else it is /var/tmp. What a sync costs there is told with the figures: it decides many.
"""

import os
import statistics
import tempfile
import time

from bench.peers.peer import Missing, run

USUAL = "/var/tmp"
IN_MEMORY = {"tmpfs", "ramfs"}
SYNCS = 100


def use():
    """Have all temporary folders made there, from now on, also those of processes that are started.

    Raises:
        Missing: what is kept there would not outlive the power.
    """
    folder = os.environ.get("TMPDIR", USUAL)
    if _kind(folder) in IN_MEMORY:
        raise Missing("A disk", f"{folder} is in memory. Name a folder on a disk: TMPDIR=/path make bench")
    os.environ["TMPDIR"] = tempfile.tempdir = folder


def described():
    """As JSON takes it."""
    return {"file_system": _kind(tempfile.gettempdir()), "sync_ms": round(1000 * _sync(), 3)}


def _kind(folder):
    return run("stat", "--file-system", "--format=%T", folder).strip()


def _sync():
    """Seconds until 4 KiB more of a file are kept, the median."""
    took = []
    with tempfile.NamedTemporaryFile(prefix="vgm-bench-sync-", buffering=0) as file:
        for _ in range(SYNCS):
            started = time.monotonic()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            took.append(time.monotonic() - started)
    return statistics.median(took)
