"""A listener for tests, and a socket that speaks to it line by line."""

import asyncio
import base64
import itertools
import re
import socket
import ssl
import threading
import time

import uvloop
from django.utils import timezone

from vaguemestre.doors.submission.listener import serve
from vaguemestre.environment import Bind
from vaguemestre.ledger.threads import LedgerThreads

_NUMBERS = itertools.count(1)
MESSAGE = b"From: app@example.org\r\nTo: to@example.net\r\nSubject: Hello\r\n\r\nGood day\r\n"


class Door:
    """Serves on 127.0.0.1 from `__enter__` to `__exit__`, on an event loop in a thread."""

    def __init__(self, terms, workers=1, clock=timezone.now, loop_factory=uvloop.new_event_loop):
        self._terms = terms
        self._clock = clock
        self._loop = loop_factory()
        self.faults = []  # what a callback or a task of the listener raised, and nobody was told of
        self._loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.threads = LedgerThreads(workers)
        self._lines = []

    def __enter__(self):
        self._thread.start()
        here = Bind("127.0.0.1", 0)
        tls = (here,) if self._terms.tls else ()
        self.listener = self.run(serve((here,), self._terms, self.threads, tls_binds=tls, clock=self._clock))
        self.port, *rest = [bind.port for bind in self.listener.addresses]
        self.tls_port = rest[0] if rest else None
        return self

    def __exit__(self, *_):
        for line in self._lines:
            line.close()
        self.run(self.listener.drain(2))
        self.run(_settled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.threads.shutdown()
        assert self.faults == []

    @property
    def held(self):
        """Bytes of content that all sessions hold."""
        return self.listener._house.held

    @property
    def sessions(self):
        return len(self.listener._house.guests)

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def dial(self, *, greeted=True, key=None, user="app", name="client.example", source="127.0.0.1"):
        """A new session; by default behind EHLO, and signed in if there is a key."""
        plug = socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(source, 0))
        line = Line(plug)
        self._lines.append(line)
        if greeted:
            assert line.reply()[0] == 220
            assert line.ask(f"EHLO {name}")[0] == 250
        if key is not None:
            assert line.sign_in(key, user) == 235
        return line


async def _settled():
    """Wait for the sessions' last callbacks and tasks."""
    for _ in range(50):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)


def another():
    """A message like no other: the same bytes again would be the same message."""
    return MESSAGE + b"Number %d\r\n" % next(_NUMBERS)


class Line:
    """The submitter's end."""

    def __init__(self, plug):
        self.plug = plug
        self._read = plug.makefile("rb")

    def write(self, data):
        self.plug.sendall(data)

    def reply(self):
        """(code, text) of the next reply, lines joined; (0, "") where the listener has closed."""
        texts = []
        while True:
            raw = self._read.readline()
            if not raw:
                return 0, ""
            assert raw.endswith(b"\r\n")
            assert len(raw) <= 512
            found = re.fullmatch(r"(\d{3})([- ])(.*)", raw[:-2].decode())
            texts.append(found[3])
            if found[2] == " ":
                return int(found[1]), "\n".join(texts)

    def replies(self, count):
        return [self.reply() for _ in range(count)]

    def ask(self, command):
        self.write(command.encode() + b"\r\n" if isinstance(command, str) else command)
        return self.reply()

    def sign_in(self, key, user="app"):
        text = base64.b64encode(f"\0{user}\0{key}".encode()).decode()
        return self.ask(f"AUTH PLAIN {text}")[0]

    def envelope(self, sender="<app@example.org>", recipients=("<to@example.net>",)):
        """MAIL, RCPT and DATA, up to 354."""
        assert self.ask(f"MAIL FROM:{sender}")[0] == 250
        for recipient in recipients:
            assert self.ask(f"RCPT TO:{recipient}")[0] == 250
        code, text = self.ask("DATA")
        assert code == 354, text

    def submit(self, raw=None, **envelope):
        """A whole transaction; the reply to the end of data. Without `raw`, a message like no other."""
        raw = another() if raw is None else raw
        self.envelope(**envelope)
        self.write(stuffed(raw) + b".\r\n")
        return self.reply()

    def secure(self, authority):
        """Become TLS, behind the 220 of STARTTLS."""
        context = ssl.create_default_context(cadata=authority.pem.decode())
        self._read.detach()
        self.plug = context.wrap_socket(self.plug, server_hostname="localhost")
        self._read = self.plug.makefile("rb")

    def closed(self, seconds=5):
        """Whether the listener closes within that time; what it still says is read."""
        self.plug.settimeout(seconds)
        try:
            while self._read.readline():
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self):
        self._read.close()
        self.plug.close()


def stuffed(raw):
    dotted = raw.replace(b"\r\n.", b"\r\n..")
    return b"." + dotted if dotted.startswith(b".") else dotted


def eventually(question, seconds=20):
    """Whether `question()` comes true in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.01)
    return False
