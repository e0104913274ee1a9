"""Debian's smtp-sink, and when it took its first and its last message."""

import os
import re
import shutil
import smtplib
import subprocess
import threading
import time

from system.product import free_port, until

PATIENCE = 300.0  # seconds for all messages of one run


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
        self._running = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        until(self._answers, 10, what="an answer of smtp-sink")
        return self

    def __exit__(self, *_):
        self._running.terminate()
        self._running.wait()
        self._reader.join()
        self._running.stdout.close()

    def wait_for(self, messages):
        """Until it took that many; fails where it took more."""
        until(lambda: self.taken >= messages, PATIENCE, 0.01, what=f"message {messages} (now {self.taken})")
        if self.taken != messages:
            raise RuntimeError(f"smtp-sink took {self.taken} messages instead of {messages}")

    def _answers(self):
        if self._running.poll() is not None:
            raise RuntimeError(f"smtp-sink ended with {self._running.returncode}")
        try:
            smtplib.SMTP("127.0.0.1", self.port, timeout=5).quit()
        except OSError:
            return False
        return True

    def _read(self):
        """Follow `sess=… quit=… mesg=…`, which it prints at every final dot."""
        kept = b""
        while block := self._running.stdout.read(65536):
            kept = (kept + block)[-200:]
            counts = re.findall(rb"mesg=(\d+)\r", kept)
            if counts and int(counts[-1]) != self.taken:
                self.taken, self.last_at = int(counts[-1]), time.monotonic()
                self.first_at = self.first_at or self.last_at
