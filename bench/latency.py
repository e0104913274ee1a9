"""How long a message is with us at 50 a second, and what we take of the processors while there is none.

From the moment before the last byte of a message is written to our listener until the next hop accepts it.
Everything is on one machine; the next hop is the bench's sink, which knows when it accepted which message.
The messages come by kept sessions, each at its time whatever became of the one before. The whole product is
at rest beforehand, for as long as the sending takes.
"""

import socket
import threading
import time
from math import ceil

from bench.child import Child
from bench.family import Family
from bench.far import PLAIN
from bench.figures import OURS, RELAY, Figure, Measure
from bench.letters import SENDER, composed, recipient_of
from bench.whole import expect, whole
from system.product import until

RATE = 50  # messages a second
SUBMITTERS = 10
SESSIONS = 20

TITLE = f"From received to the next hop's 250, {RATE} messages a second"
MEDIAN = Measure(f"{TITLE}, median", "ms", 1, "≤ 3", RELAY)
P99 = Measure(f"{TITLE}, 99th percentile", "ms", 1, "≤ 15", RELAY)
IDLE = Measure("Processor time of all processes at rest", "ms per second", 1, "≈ 0", RELAY)


def measure(repetitions, messages):
    """All three."""
    median, p99, idle = zip(*(_once(messages) for _ in range(repetitions)), strict=True)
    return [Figure(MEDIAN, OURS, median), Figure(P99, OURS, p99), Figure(IDLE, OURS, idle)]


def percentile(values, part):
    """The least value that so many in a hundred do not exceed."""
    return sorted(values)[ceil(len(values) * part / 100) - 1]


def _once(messages):
    with (
        Child("sink", *PLAIN) as sink,
        Family() as processes,
        whole(sink.port, SESSIONS) as product,
    ):
        processes.take(product.running.pid)
        processes.until_at_rest()
        idle = _idle(processes, messages / RATE)
        written = _submit(product.submission_port, messages)
        until(lambda: sink.ask()["taken"] >= messages, what="the last message at the sink")
        until(
            lambda: product.rows("SELECT count(*) FROM ledger_delivery WHERE state <> 'accepted'") == [(0,)]
        )
        expect(product, "accepted", messages)
        accepted = sink.ask("times")
        took = [1000 * (accepted[recipient] - at) for recipient, at in written.items()]
    return percentile(took, 50), percentile(took, 99), idle


def _idle(processes, seconds):
    """Milliseconds of processor time a second."""
    before = processes.cpu()
    time.sleep(seconds)
    return 1000 * (processes.cpu() - before) / seconds


def _submit(port, messages):
    """When the last byte of each message was about to be written, by its recipient."""
    # Composed beforehand: that takes a millisecond of a processor which the courier is at work on by then.
    contents = [composed(number) + b".\r\n" for number in range(messages)]
    written, began = {}, time.monotonic() + 0.5
    failed = []

    def submit(first):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as plug:
                for number, at in _submitted(Dialogue(plug), contents, first, began):
                    written[recipient_of(number)] = at
        except (OSError, RuntimeError) as error:
            failed.append(error)

    threads = [threading.Thread(target=submit, args=[first]) for first in range(SUBMITTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed or len(written) != messages:
        raise RuntimeError(f"{len(written)} of {messages} messages were accepted: {failed[:1]}")
    return written


def _submitted(dialogue, contents, first, began):
    """The number of each message of one submitter, with the time."""
    dialogue.ask(b"EHLO client.example.org\r\n")
    for number in range(first, len(contents), SUBMITTERS):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        dialogue.ask(f"MAIL FROM:<{SENDER}>\r\n".encode())
        dialogue.ask(f"RCPT TO:<{recipient_of(number)}>\r\n".encode())
        dialogue.ask(b"DATA\r\n")
        at = time.monotonic()
        dialogue.ask(contents[number])
        yield number, at


class Dialogue:
    """A session of a submitter, one command at a time."""

    def __init__(self, plug):
        self._plug, self._heard = plug, plug.makefile("rb")
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reply()

    def ask(self, text):
        """Raises where the answer is no success."""
        self._plug.sendall(text)
        self._reply()

    def _reply(self):
        while (line := self._heard.readline())[3:4] == b"-":
            pass
        if line[:1] not in (b"2", b"3"):
            raise RuntimeError(f"the listener said {line!r}")
