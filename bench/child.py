"""A program of the bench in a process of its own, asked over its standard streams: a line in, JSON out."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Child:
    """`python -m bench.NAME WORDS…`, from entering to leaving.

    Attributes:
        port: where it listens, if it does.
    """

    def __init__(self, name, *words, environment=None):
        self._command = [sys.executable, "-m", f"bench.{name}", *map(str, words)]
        self._environment = environment

    def __enter__(self):
        self._running = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self._read().get("port")
        return self

    def __exit__(self, *_):
        self._running.stdin.close()
        self._running.wait()
        self._running.stdout.close()

    def ask(self, question=""):
        """What it tells now."""
        self._running.stdin.write(f"{question}\n")
        self._running.stdin.flush()
        return self._read()

    def _read(self):
        line = self._running.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command[2:])} ended with {self._running.wait()}")
        return json.loads(line)


def be_prompt():
    """Go first where there is a choice: an instrument must not wait for what it measures. Needs root."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


async def answer_questions(first, tell):
    """In the child: print `first`, then what `tell(line)` says to every line, until standard input ends."""
    questions = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    print(json.dumps(first), flush=True)
    while line := await questions.readline():
        print(json.dumps(tell(line.decode().strip())), flush=True)
