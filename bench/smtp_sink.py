"""Debian's smtp-sink, and when it took its first and its last message, within some milliseconds.

It counts into a file in memory, which is looked at from time to time: who woke up with every message would
take the processors from those that are measured.
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from bench.peers.peer import answers
from scripted.ports import free_port
from system.product import until

PATIENCE = 300.0  # seconds for all messages of one run
EVERY = 0.005  # seconds between two looks at its counter
LATEST = 200  # bytes at the end of what it printed, in which the counter stands
MEMORY = "/dev/shm"


class SmtpSink:
    """Runs from entering to leaving.

    Attributes:
        port: where it listens.
        taken: messages so far, by its own counter.
        first_at, last_at: when that counter moved first and last, on the monotonic clock.
    """

    def __init__(self):
        program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise RuntimeError("smtp-sink is missing. Install it: apt-get install postfix")
        self.port, self.taken = free_port(), 0
        self.first_at = self.last_at = None
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self._command = [program, "-c", *user, f"127.0.0.1:{self.port}", "1024"]

    def __enter__(self):
        self._printed = tempfile.TemporaryFile(dir=MEMORY, buffering=0)
        self._running = subprocess.Popen(self._command, stdout=self._printed, stderr=subprocess.DEVNULL)
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        until(self._answers, 10, what="an answer of smtp-sink")
        return self

    def __exit__(self, *_):
        self._running.terminate()
        self._running.wait()
        self._over.set()
        self._reader.join()
        self._printed.close()

    def wait_for(self, messages):
        """Until it took that many; fails where it took more."""
        until(lambda: self.taken >= messages, PATIENCE, 0.01, what=f"message {messages} (now {self.taken})")
        if self.taken != messages:
            raise RuntimeError(f"smtp-sink took {self.taken} messages instead of {messages}")

    def _answers(self):
        if self._running.poll() is not None:
            raise RuntimeError(f"smtp-sink ended with {self._running.returncode}")
        return answers(self.port)

    def _read(self):
        """Follow `sess=… quit=… mesg=…`, which it prints at every final dot."""
        file = self._printed.fileno()
        while not self._over.wait(EVERY):
            size = os.fstat(file).st_size
            counts = re.findall(rb"mesg=(\d+)\r", os.pread(file, LATEST, max(0, size - LATEST)))
            if counts and int(counts[-1]) != self.taken:
                self.taken, self.last_at = int(counts[-1]), time.monotonic()
                self.first_at = self.first_at or self.last_at
