"""What a server does while the mark of an end of data is committed is heard before that end goes out (rows 1, 12).

The commit is made on the loop where that may be, which hears nothing meanwhile. So the servers have threads of
their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
from threading import Event, Thread, current_thread

import pytest
import uvloop
from django.db import connection as database

from vaguemestre.ledger import threads

KEYWORDS = {
    "single": b"250 here\r\n",
    "data": b"250-here\r\n250 PIPELINING\r\n",
    "bdat": b"250-here\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
}


def says(octets):
    return lambda plug: plug.sendall(octets)


def ends(plug):
    plug.shutdown(socket.SHUT_WR)


def resets(plug):
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plug.close()


ACTS = {  # and what becomes of the delivery: state, row of the table
    "a reply": (says(b"250 what\r\n"), ("queued", 12)),
    "half a line": (says(b"250"), ("queued", 12)),
    "a farewell": (says(b"421 4.3.2 closing\r\n"), ("queued", 3)),
    "a refusal": (says(b"550 5.7.1 enough\r\n"), ("refused", 16)),
    "an end": (ends, ("queued", 12)),
    "a reset": (resets, ("queued", 12)),
}


class Server:
    """In a thread of its own. It acts when it is told to, and whoever comes to it afterwards finds nobody.

    Attributes:
        behind: so many messages are taken before, by the same session.
        rest: what came of the one that it acts on, once that is over; None where nothing can be known.
    """

    def __init__(self, manner, act, behind):
        self._manner, self._act, self.behind = manner, act, behind
        self._told, self._acted = Event(), Event()
        self._marks, self.rest = 0, None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def acts(self):
        """Called as a mark is about to be committed; whether it was its turn."""
        self._marks += 1
        if self._marks != self.behind + 1:
            return False
        self._told.set()
        assert self._acted.wait(5)
        return True

    def close(self):
        self._listener.close()
        self._thread.join(5)

    def _serve(self):
        plug, _ = self._listener.accept()
        self._listener.close()
        with plug:
            self._converse(plug)
            self._told.wait(5)
            self._act(plug)
            self._acted.set()
            with contextlib.suppress(OSError):  # a reset leaves nothing to read
                self.rest = b"".join(iter(lambda: plug.recv(65_536), b""))

    def _converse(self, plug):
        """Up to the moment in which nothing is missing but a mark: for a window, before any of it was said."""
        last = {"bdat": b"EHLO" if self.behind else b"RCPT"}.get(self._manner, b"DATA")
        answers = {b"EHLO": KEYWORDS[self._manner], b"DATA": b"354 go on\r\n"}
        left = self.behind
        plug.sendall(b"220 here\r\n")
        while line := _line(plug):
            verb = line[:4]
            if verb == b"BDAT":
                plug.recv(int(line.split()[1]), socket.MSG_WAITALL)
                left -= 1
            plug.sendall(answers.get(verb, b"250 taken\r\n"))
            if verb == last and not left:
                return
            if verb == b"DATA":
                while _line(plug) != b".\r\n":
                    pass
                left -= 1
                plug.sendall(b"250 taken\r\n")


def _line(plug):
    line = b""
    while not line.endswith(b"\n") and (octet := plug.recv(1)):
        line += octet
    return line


@pytest.fixture
def commits(instead_of_commits, monkeypatch):
    """Servers by the ids of their connections, each of which acts as a mark is committed; and in which threads."""
    monkeypatch.setattr(
        threads, "WAIT", math.inf
    )  # a busy machine would have them all in a thread of their own
    servers, made_in = {}, set()

    def commit(entries, commit_as_ever):
        for entry in entries:
            if entry.marks and servers[entry.lease.connection_id].acts():
                made_in.add(current_thread())
        return commit_as_ever()

    instead_of_commits(commit)
    yield servers, made_in
    for server in servers.values():
        server.close()


async def tried(office, worker, server, state):
    """A message that was; then the courier's chores are done, which would have commits made in a thread."""
    message = await office.post(sender=f"s{server.port}@example.org")
    worker.engine.wake()
    await office.until_true(message.attempt_set.exists)
    async with asyncio.timeout(8):
        while worker.engine.threads._running:
            await asyncio.sleep(0.02)
    found = await office.delivery(message)
    assert found.state == state
    return found


def expected(manner, session):
    if (manner, session) == ("bdat", "kept"):
        # Nothing of it was said on that session: at once on a new one (row 2), where nobody is.
        return dict.fromkeys(ACTS, ("queued", 5))
    return {name: end for name, (_, end) in ACTS.items()}


@pytest.mark.parametrize("session", ["new", "kept"])
@pytest.mark.parametrize("manner", KEYWORDS)
def test_what_comes_while_a_mark_is_committed_is_heard_before_the_end_of_data(
    office, commits, manner, session
):
    servers, made_in = commits
    acting = {name: Server(manner, act, behind=session == "kept") for name, (act, _) in ACTS.items()}
    ends = expected(manner, session)

    async def run():
        for server in acting.values():
            made = await office.connect(server, sender_email=f"s{server.port}@example.org")
            servers[made.pk] = server
        found = {}
        async with office.courier(look=60.0) as worker:
            for name, server in acting.items():
                for _ in range(server.behind):
                    await tried(office, worker, server, "accepted")
                found[name] = await tried(office, worker, server, ends[name][0])
        return found

    found = uvloop.run(run())
    assert {name: (one.state, one.trouble["row"]) for name, one in found.items()} == ends
    assert {one.doubts for one in found.values()} == {0}
    if database.vendor == "sqlite" and session == "kept":
        assert current_thread() in made_in
    for name, server in acting.items():
        server.close()
        assert (server.rest is None) == (name == "a reset")
        if server.rest is not None:
            assert (b"hello\r\n" in server.rest) == (manner != "bdat")
            assert not server.rest.endswith(b"\r\n.\r\n")
