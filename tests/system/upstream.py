"""A next hop as a process of its own, whose log outlives whatever is killed around it."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent.parent


class Upstream:
    """`python -m scripted.sink`; it writes a message to its log before it answers.

    Attributes:
        port: where it listens, from entering on.
    """

    def __init__(self, *, delay=0.0):
        self._delay = delay

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="vgm-upstream-")
        self.log = Path(self._folder.name) / "log"
        self._running = subprocess.Popen(
            [sys.executable, "-m", "scripted.sink", "--log", self.log, "--delay", str(self._delay)],
            cwd=TESTS,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = json.loads(self._running.stdout.readline())["port"]
        return self

    def __exit__(self, *_):
        self._running.terminate()
        self._running.wait()
        self._running.stdout.close()
        self._folder.cleanup()

    @property
    def taken(self):
        """How many messages it took, by a look at the log."""
        with self.log.open("rb") as log:
            return sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))

    def entries(self):
        """What it took, in order."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def by_recipient(self):
        """How often it took mail for each recipient."""
        return Counter(address for entry in self.entries() for address in entry["recipients"])
