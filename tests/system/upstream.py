"""A next hop as a process of its own, whose log outlives whatever is killed around it."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent.parent

# What servers of three kinds announce; a courier takes the fastest manner of each: one by one, DATA, BDAT.
PLAIN = "SIZE 52428800,8BITMIME"
PIPELINING = f"PIPELINING,{PLAIN},ENHANCEDSTATUSCODES"
CHUNKING = f"{PIPELINING},CHUNKING"
KINDS = {"plain": PLAIN, "pipelining": PIPELINING, "chunking": CHUNKING}


class Upstream:
    """`python -m scripted.sink`; it writes a message to its log before it answers.

    Args:
        keywords: what it announces besides its name.
        delay, jitter: seconds before each reply to a content, and up to so many more by chance.
        lose, seed: the share of final replies that never come, the session being dropped.

    Attributes:
        port: where it listens, from entering on.
    """

    def __init__(self, *, keywords=PIPELINING, delay=0.0, jitter=0.0, lose=0.0, seed=0):
        self._words = {"keywords": keywords, "delay": delay, "jitter": jitter, "lose": lose, "seed": seed}

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="vgm-upstream-")
        self.log, self.faults = Path(self._folder.name) / "log", Path(self._folder.name) / "faults"
        words = [f"--{name}={value}" for name, value in self._words.items()]
        self._running = subprocess.Popen(
            [sys.executable, "-m", "scripted.sink", "--log", self.log, "--faults", self.faults, *words],
            cwd=TESTS,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = json.loads(self._running.stdout.readline())["port"]
        self._counted, self._read_to = 0, 0
        return self

    def __exit__(self, *_):
        self._running.terminate()
        self._running.wait()
        self._running.stdout.close()
        self._folder.cleanup()

    @property
    def taken(self):
        """How many messages it took, by a look at what its log has got since the last one."""
        with self.log.open("rb") as log:
            log.seek(self._read_to)
            while block := log.read(1 << 20):
                self._counted += block.count(b"\n")
                self._read_to += len(block)
        return self._counted

    def entries(self):
        """What it took, in order."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def by_recipient(self):
        """How often it took mail for each recipient."""
        return Counter(address for entry in self.entries() for address in entry["recipients"])

    def blamed(self):
        """What clients did against the standards."""
        return self.faults.read_text().splitlines()
