"""An installation of one's own: a data directory, free ports, and the command as a person runs it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster import commands
from scripted.ports import free_port

COMMAND = str(Path(sys.executable).with_name("vaguemestre"))
READY_WITHIN = 60.0  # seconds; two cores may be busy with other tests, and a first start migrates


class Installation:
    def __init__(self, data, **variables):
        self.data = Path(data)
        self.web, self.submission = free_port(), free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VAGUEMESTRE_")}
        kept.pop("DATABASE_URL", None)
        self.environment = {
            **kept,
            "VAGUEMESTRE_DATA_DIR": str(data),
            "VAGUEMESTRE_WEB_BIND": f"127.0.0.1:{self.web}",
            "VAGUEMESTRE_SUBMISSION_BIND": f"127.0.0.1:{self.submission}",
            **variables,
        }

    def run(self, *words, stdin="", **variables):
        return commands.run(words, environment=self.environment | variables, text=stdin)

    def copy_to(self, data):
        shutil.copytree(self.data, data, ignore=shutil.ignore_patterns("*.lock", "*-wake"))
        return Installation(data)

    @contextmanager
    def up(self, shell=None, *, unread=False):
        """`up`, ended however the block leaves it.

        `shell` is what the shell does to it, such as `>&-`; `unread` closes our side of its output at once.
        """
        words = [COMMAND, "up"] if shell is None else ["/bin/sh", "-c", f"exec {COMMAND} up {shell}"]
        process = subprocess.Popen(
            words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running = Running(self, process)
        if unread:
            process.stdout.close()
        try:
            running.wait_for_web()
            yield running
        finally:
            running.end()


class Running:
    def __init__(self, installation, process):
        self.installation = installation
        self.process = process

    def wait_for_web(self):
        wait_for(lambda: answers(self.installation.web) or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError(self.process.communicate()[1])
        wait_for(lambda: answers(self.installation.submission))

    def children(self):
        """name -> process id of what `up` started."""
        found = {}
        for pid in _children_of(self.process.pid):
            words = _words_of(pid)
            name = words[words.index(COMMAND) + 1] if COMMAND in words else " ".join(words)
            found[name] = pid
        return found

    def family(self):
        """Every process below `up`."""
        return descendants(self.process.pid)

    def stop(self, number=signal.SIGTERM):
        """The seconds that it took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(40)
        return time.monotonic() - began

    def end(self):
        for pid in [*self.family(), self.process.pid] if self.process.poll() is None else []:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        # Not read to its end: a process that should have died may hold the other side.
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()


def _children_of(pid):
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _words_of(pid):
    """A process's command line; empty if it ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []


def descendants(pid):
    pids, waiting = [], [pid]
    while waiting:
        children = _children_of(waiting.pop())
        pids += children
        waiting += children
    return pids


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, within=READY_WITHIN):
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)
    return found
