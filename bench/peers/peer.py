"""What every peer of the bench keeps to: other clients, each configured as well as it can be.

They send over one session, where they can keep one.

A peer is a class with `name`, as the table shows it; `on_disk`, whether it keeps a queue there;
`made_ready()`, which fetches what is missing and answers with a version, or raises `Missing`; and
`sending(port, messages)`, a context in which that many messages are on their way to 127.0.0.1:port, one
after the other, queued before the first dial where the peer has a queue. The context's value is its process;
leaving it ends what runs, and raises where a client failed.

A relay has `relaying(port, messages)` instead, or too: a context in which it takes mail from this machine
and relays it to 127.0.0.1:port, as many sessions at a time as it likes. The context's value is the port
where it takes mail, and its process; leaving it raises where any of that many messages is still in its
queue. `fewer` is the part of the messages that it gets, where it would take too long with all.
"""

import shutil
import smtplib
import subprocess
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent.parent / "build" / "bench"


class Missing(Exception):
    """A peer, or what the bench needs besides, cannot be had; the message names it and says what to do."""

    def __init__(self, name, why):
        super().__init__(f"{name} is missing: {why}")


def need(name, program, package):
    """The path of a program of Debian.

    Raises:
        Missing: it is not installed.
    """
    found = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        raise Missing(name, f"there is no {program}. Install it: apt-get install {package}")
    return found


def fetch(name, *command, folder):
    """Run what fetches a peer.

    Raises:
        Missing: it failed, with its last words.
    """
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise Missing(name, f"`{command[0]} {command[1]}` failed: {' / '.join(words)}")
    return done.stdout


def run(*command, **options):
    """A program that must succeed; its standard output."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False, **options
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def answers(port):
    """Whether a server of this machine greets and goes."""
    try:
        smtplib.SMTP("127.0.0.1", port, timeout=5).quit()
    except OSError:
        return False
    return True
