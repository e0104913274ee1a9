"""Debian's smtp-source: a submitter that does nothing but submit."""

import time

from bench.letters import SENDER, SIZE
from bench.peers.peer import need, run

PROGRAM = "smtp-source"
NAME = "client.example.org"


def made_ready():
    """Raises `Missing` where it is not installed."""
    need(PROGRAM, PROGRAM, "postfix")


def submit(port, messages, sessions):
    """When it began and when it ended, on the monotonic clock: each session is kept for all its messages.

    Raises:
        RuntimeError: a message was not accepted at once.
    """
    program = need(PROGRAM, PROGRAM, "postfix")
    sessions_kept = ("-d", "-s", sessions, "-M", NAME)
    letters = ("-m", messages, "-l", SIZE, "-f", SENDER, "-N", "-t", "reader@example.com")
    began = time.monotonic()
    run(program, *sessions_kept, *letters, f"127.0.0.1:{port}")
    return began, time.monotonic()
