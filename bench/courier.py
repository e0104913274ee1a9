"""The courier process alone, and what the kernel tells of it."""

import os
import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from bench.ledger import COMMAND
from system.product import until

SETTLED = 2.0  # seconds without use of a processor, after which a started courier is taken to be idle


class Courier:
    """`vaguemestre courier` on a ledger.

    Attributes:
        process: its process.
    """

    def __init__(self, process):
        self.process = process
        self._proc = Path("/proc") / str(process.pid)

    def cpu(self):
        """Seconds of processor time so far, in user mode and in the kernel, all threads."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        """Bytes in memory now."""
        return self._status("VmRSS")

    def peak(self):
        """Bytes in memory at most, since the last `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self):
        (self._proc / "clear_refs").write_text("5")

    def until_idle(self):
        """Until it has started and waits."""
        deadline = time.monotonic() + 60
        before = -1.0
        while (now := self.cpu()) - before > 0.1 * SETTLED:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("the courier did not come to rest")
            before = now
            time.sleep(SETTLED)

    def until_accepted(self, ledger, deliveries, within):
        """Until so many deliveries are recorded as accepted."""
        until(lambda: ledger.accepted() >= deliveries, within, 0.02, what=f"{deliveries} accepted deliveries")

    def _status(self, name):
        found = re.search(rf"^{name}:\s+(\d+) kB$", (self._proc / "status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024


@contextmanager
def running(ledger):
    """A courier on the ledger; stopped by SIGTERM."""
    log = Path(ledger.environment["VAGUEMESTRE_DATA_DIR"]) / "courier.log"
    with log.open("wb") as written:
        process = subprocess.Popen([COMMAND, "courier"], env=ledger.environment, stderr=written)
    try:
        yield Courier(process)
    finally:
        process.terminate()
        status = _ended(process)
    if status != 0:
        raise RuntimeError(f"the courier ended with {status}: {log.read_text()[-2000:]}")


def _ended(process):
    """Its exit status; it drains for 24 s at most."""
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
