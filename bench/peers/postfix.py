"""Postfix: instances of our own, no system service. Needs root, as its master does.

Its cache of sessions is on for every destination, with no limit of its time or its messages. To send,
messages are taken by its smtpd and kept on hold; then they are let go together, one delivery at a time. To
relay, they are taken and delivered by as many processes as Debian's settings allow, and as many sessions as
ours uses.
"""

import os
import shutil
import smtplib
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from bench.letters import SENDER, composed, recipient_of
from bench.peers.peer import Missing, answers, need, run
from scripted.ports import free_port
from system.postfix import COMMON
from system.product import until

MASTER = Path("/usr/lib/postfix/sbin/master")

MAIN = (
    COMMON
    + """\
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_connection_cache_destinations = static:all
smtp_connection_cache_time_limit = 60s
smtp_connection_reuse_time_limit = 1h
connection_cache_ttl_limit = 60s
"""
)
SENDING = """\
smtpd_client_restrictions = static:hold
smtp_destination_concurrency_limit = 1
initial_destination_concurrency = 1
"""
RELAYING = """\
smtp_destination_concurrency_limit = 20
initial_destination_concurrency = 20
"""

SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - {senders} smtp
scache unix - - n - 1 scache
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Of Debian."""

    name = "Postfix"
    on_disk = True

    def made_ready(self):
        need(self.name, "postconf", "postfix")
        if os.geteuid() != 0:
            raise Missing(self.name, "its master runs as root only. Run this as root")
        return run("postconf", "-hd", "mail_version").strip()

    @contextmanager
    def sending(self, port, messages):
        with _instance(port, SENDING, senders="1") as (home, own_port, master):
            _hand_over(own_port, messages)
            _let_go(home)
            yield master

    @contextmanager
    def relaying(self, port, _messages):
        with _instance(port, RELAYING, senders="-") as (home, own_port, master):
            yield own_port, master
            until(lambda: not _queued(home), 20, what="an empty queue of Postfix")


@contextmanager
def _instance(port, settings, senders):
    """One of its own that passes on to the port: its folder, the port it listens on, its master."""
    with tempfile.TemporaryDirectory(prefix="vgm-bench-postfix-", ignore_cleanup_errors=True) as name:
        home, own_port = Path(name), free_port()
        _configure(home, own_port, port, settings, senders=senders)
        with _running(home, own_port) as master:
            yield home, own_port, master


def _queued(home):
    return [file for file in (home / "queue").glob("[aimd]*/**/*") if file.is_file()]


def _configure(home, own_port, next_hop, settings, senders):
    home.chmod(0o755)
    for folder in ("etc", "queue", "data"):
        (home / folder).mkdir(mode=0o755)
    shutil.chown(home / "data", "postfix")
    values = {"home": home, "port": own_port, "next_hop": next_hop, "senders": senders}
    (home / "etc" / "main.cf").write_text(MAIN.format(**values) + settings)
    (home / "etc" / "master.cf").write_text(SERVICES.format(**values))
    run("postfix", "-c", home / "etc", "check", env=_environment(home))


def _environment(home):
    return {"PATH": os.environ["PATH"] + ":/usr/sbin", "MAIL_CONFIG": str(home / "etc"), "LC_ALL": "C.UTF-8"}


@contextmanager
def _running(home, own_port):
    quiet = subprocess.DEVNULL
    command = [MASTER, "-c", home / "etc", "-d"]
    master = subprocess.Popen(command, env=_environment(home), stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        until(lambda: answers(own_port), 20, what="an answer of Postfix")
        yield master
    finally:
        master.terminate()
        master.wait(10)
        time.sleep(0.1)  # its daemons notice that the master is gone


def _hand_over(port, messages):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example.org") as session:
        for number in range(messages):
            session.sendmail(SENDER, [recipient_of(number)], composed(number))


def _let_go(home):
    """Out of the hold, and due at once."""
    run("postsuper", "-c", home / "etc", "-H", "ALL", env=_environment(home))
    run("postqueue", "-c", home / "etc", "-f", env=_environment(home))
