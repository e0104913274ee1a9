"""Messages a second from the first acceptance by the API to the last by smtp-sink, beside loops of smtplib.

    .venv/bin/python bench/first_figure.py [--messages 2000] [--size 4096] [--clients 8] [--sessions 20]

All of it on this machine, in one run: the product's own processes on the embedded database, every message
fsynced before its 202, to Debian's smtp-sink (package postfix). The loops send the same messages to a
smtp-sink of their own: with a connection for each message, as Django's backend does, and with one kept.
Prints one table; keeps the figures in build/first_figure.json.
"""

import argparse
import http.client
import itertools
import json
import os
import platform
import re
import shutil
import smtplib
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from system.product import Product, free_port, until  # noqa: E402  from the tests' folder

SENDER = "office@example.org"
PATIENCE = 300.0  # seconds for one row of the table


@dataclass(frozen=True)
class Row:
    """One way to send them all; seconds from its first to its last acceptance."""

    way: str
    messages: int
    seconds: float
    note: str = ""

    @property
    def per_second(self):
        return self.messages / self.seconds


class Sink:
    """Debian's smtp-sink, and when it took its last message.

    Attributes:
        taken: messages so far, by its own counter.
        last_at: when that counter moved last, on the monotonic clock.
    """

    def __init__(self):
        program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            sys.exit("smtp-sink is missing: apt-get install postfix")
        self.port, self.taken, self.last_at = free_port(), 0, 0.0
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

    def _answers(self):
        if self._running.poll() is not None:
            sys.exit(f"smtp-sink ended with {self._running.returncode}")
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

    def wait_for(self, messages):
        until(lambda: self.taken >= messages, PATIENCE, 0.01, what=f"message {messages} (now {self.taken})")
        if self.taken != messages:
            sys.exit(f"smtp-sink took {self.taken} messages instead of {messages}")


def text_of(size):
    line = "The quick brown fox jumps over the lazy dog, and then it does so again.\n"
    return (line * (size // len(line) + 1))[:size]


def composed(number, text):
    """The bytes that the loops send."""
    message = EmailMessage()
    message["From"], message["To"] = SENDER, f"reader{number}@example.com"
    message["Subject"] = f"Message {number}"
    message["Message-ID"] = f"<{number}@example.org>"
    message["Date"] = "Thu, 01 Jan 2026 00:00:00 +0000"
    message.set_content(text)
    return message.as_bytes()


def by_smtplib(options, *, kept):
    """The plain loop."""
    messages = [composed(number, text_of(options.size)) for number in range(options.messages)]
    with Sink() as sink:
        started = time.monotonic()
        if kept:
            with smtplib.SMTP("127.0.0.1", sink.port) as session:
                for number, raw in enumerate(messages):
                    session.sendmail(SENDER, [f"reader{number}@example.com"], raw)
        else:
            for number, raw in enumerate(messages):
                with smtplib.SMTP("127.0.0.1", sink.port) as session:
                    session.sendmail(SENDER, [f"reader{number}@example.com"], raw)
        sink.wait_for(options.messages)
        seconds = sink.last_at - started
    way = "smtplib, one connection kept" if kept else "smtplib, a connection for each"
    return Row(way, options.messages, seconds)


class Submitters:
    """Threads that post over kept connections.

    Attributes:
        first_at, last_at: when the first and the last 202 were read.
    """

    def __init__(self, product, options):
        self._product, self._text, self._messages = product, text_of(options.size), options.messages
        self._numbers = itertools.count()
        self.answered = []
        self._threads = [threading.Thread(target=self._post) for _ in range(options.clients)]

    def run(self):
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        if len(self.answered) != self._messages:
            sys.exit(f"the API accepted {len(self.answered)} messages of {self._messages}")
        self.first_at, self.last_at = min(self.answered), max(self.answered)

    def _post(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._product.web_port, timeout=60)
        headers = {"Authorization": f"Bearer {self._product.key}", "Content-Type": "application/json"}
        for number in iter(lambda: next(self._numbers), None):
            if number >= self._messages:
                break
            body = {"to": [f"reader{number}@example.com"], "subject": f"Message {number}", "text": self._text}
            connection.request("POST", "/api/v1/messages", json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 202:
                sys.exit(f"the API answered {answer.status}: {content[:500]!r}")
            self.answered.append(time.monotonic())
        connection.close()


def by_vaguemestre(options):
    """The product: two rows, its whole way and its intake alone."""
    with Sink() as sink, Product() as product:
        limits = {"max_sessions": options.sessions}
        product.api.connect(sink, sender_email=SENDER, encryption="none", limits=limits)
        submitters = Submitters(product, options)
        submitters.run()
        sink.wait_for(options.messages)
        seconds = sink.last_at - submitters.first_at
        intake = submitters.last_at - submitters.first_at
        accepted = "SELECT count(*) FROM ledger_delivery WHERE state = 'accepted'"
        until(lambda: product.rows(accepted) == [(options.messages,)], 30, what="the last record")
    return [
        Row("vaguemestre, API to next hop", options.messages, seconds, f"{options.sessions} sessions"),
        Row("  its intake alone (202)", options.messages, intake, f"{options.clients} clients"),
    ]


def shown(rows):
    lines = [f"{'way':<34}{'messages':>9}{'seconds':>9}{'per second':>12}"]
    lines += [
        f"{row.way:<34}{row.messages:>9}{row.seconds:>9.2f}{row.per_second:>12.0f}  {row.note}".rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def keep(options, rows):
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    figures = {
        "options": vars(options),
        "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
        "rows": [asdict(row) | {"per_second": round(row.per_second, 1)} for row in rows],
    }
    (folder / "first_figure.json").write_text(json.dumps(figures, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--size", type=int, default=4096, help="bytes of text")
    parser.add_argument("--clients", type=int, default=8, help="threads that post")
    parser.add_argument("--sessions", type=int, default=20, help="of the product to smtp-sink, at most")
    options = parser.parse_args()
    rows = [
        *by_vaguemestre(options),
        by_smtplib(options, kept=False),
        by_smtplib(options, kept=True),
    ]
    keep(options, rows)
    print(shown(rows))


if __name__ == "__main__":
    main()
