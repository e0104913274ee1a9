"""Content made to hurt (I08), and many submitters who do nothing (I07): little time, little memory."""

import base64
import resource
import socket
import threading
import time
from contextlib import ExitStack
from ipaddress import ip_network

import pytest

from scripted.certificates import the_certificate
from submission.door import MESSAGE, eventually
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.ledger.models import Message

TRUST = (ip_network("127.0.0.0/8"),)
HEAD = b"From: app@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


def nested(depth, inner=b"Content-Type: text/plain\r\n\r\nx\r\n"):
    opening = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level)
        for level in range(depth)
    )
    return HEAD + opening + inner + b"".join(b"--b%d--\r\n" % level for level in reversed(range(depth)))


def parts(count):
    return (
        HEAD
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\n\r\nx\r\n" * count
        + b"--b--\r\n"
    )


def within_messages(depth):
    return HEAD + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: deepest\r\n\r\nx\r\n"


def bomb(encoding, line):
    return HEAD + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + (line + b"\r\n") * 100_000


CONTENTS = {
    "1,000 levels": (nested(1_000), 250),
    "100,000 parts": (parts(100_000), 250),
    "message/rfc822 in each other": (within_messages(5_000), 250),
    "quoted-printable bomb": (bomb(b"quoted-printable", b"=3D" * 25), 250),
    "base64 bomb": (bomb(b"base64", base64.b64encode(b"\0" * 57)), 250),
    "folded without end": (HEAD + b"X-Long: a\r\n" + b" b\r\n" * 100_000 + b"\r\nx\r\n", 250),
    "header of 10 MB": (HEAD + b"X-Long: " + b"y" * 10_000_000 + b"\r\n\r\nx\r\n", 550),
    "a million recipients in To": (HEAD + b"To: " + b"a@b.example,\r\n " * 1_000_000 + b"\r\n\r\nx\r\n", 550),
    "60,000 recipients in To": (HEAD + b"To: " + b"a@b.example,\r\n " * 60_000 + b"z@b.example\r\n\r\nx\r\n", 250),
    "60,000 addresses in From": (b"From: " + b"a@b.example,\r\n " * 60_000 + b"z@b.example\r\n\r\nx\r\n", 550),
    "comments in From": (b"From: " + b"(" * 100_000 + b"\r\n\r\nx\r\n", 550),
    "encoded words": (HEAD + b"X: " + b"=?utf-8?b?" * 90_000 + b"\r\n\r\nx\r\n", 250),
    "From twice": (HEAD + b"From: b@example.org\r\n\r\nx\r\n", 550),
    "Date and Message-ID twice": (HEAD + b"Date: a\r\nDate: b\r\nMessage-ID: <a@b>\r\nMessage-ID: c\r\n\r\nx\r\n", 250),
    "no From, Date or Message-ID": (b"Subject: x\r\n\r\nx\r\n", 250),
    "a field without colon": (HEAD + b"nonsense\r\n\r\nx\r\n", 550),
    "a megabyte without colon": (HEAD + b"n" * 900_000 + b"\r\n\r\nx\r\n", 550),
    "90,000 lines without colon": (HEAD + b"nonsense\r\n" * 90_000 + b"\r\nx\r\n", 550),
    "8-bit header": (HEAD + "X: Été".encode() + b"\xff\xfe\r\n\r\nx\r\n", 250),
    "Received 101 times": (b"Received: x\r\n" * 101 + HEAD + b"\r\nx\r\n", 554),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_i08_it_is_stored_or_refused_in_less_than_a_second_of_cpu(open_door, name):
    raw, expected = CONTENTS[name]
    line = open_door(trust=TRUST).dial()
    begun, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, text = line.submit(raw)
    taken = time.process_time() - begun
    assert code == expected, text
    assert taken < 1, f"{taken} s, the submitter's part included"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert line.submit()[0] == 250


def test_i07_500_idle_sessions_keep_nobody_from_submitting(open_door):
    door = open_door(trust=TRUST)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ExitStack() as stack:
        for number in range(499):
            source = (f"127.0.0.{number // 100 + 2}", 0)
            plug = socket.create_connection(("127.0.0.1", door.port), timeout=10, source_address=source)
            stack.enter_context(plug)
        assert eventually(lambda: door.sessions == 499)
        line = door.dial()
        begun = time.monotonic()
        assert line.submit()[0] == 250
        assert time.monotonic() - begun < 1
        assert door.dial(greeted=False).reply()[0] == 421
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB
    assert eventually(lambda: door.sessions == 1)


async def processor_time():
    """Seconds that the thread of this loop has had."""
    return time.thread_time()


class Dripping:
    """Sessions that write a byte each half second, from a thread; every other one is within its content."""

    def __init__(self, port, count):
        self.rounds = 0
        self._ended = threading.Event()
        self._things = ExitStack()
        self._plugs = []
        for number in range(count):
            source = (f"127.0.0.{number // 90 + 2}", 0)
            plug = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=source)
            self._plugs.append(self._things.enter_context(plug))
            if number % 2:
                plug.sendall(b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
                plug.recv(1)
        self._thread = threading.Thread(target=self._drip, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        self._things.close()

    def _drip(self):
        while not self._ended.wait(0.5):
            for plug in self._plugs:
                plug.sendall(b"x")
            self.rounds += 1


def test_i07_490_that_drip_keep_nobody_from_submitting(open_door):
    door = open_door(trust=TRUST)
    took = 0
    with Dripping(door.port, 490) as dripping:
        assert eventually(lambda: door.sessions == 490)
        assert eventually(lambda: door.held > 0)
        lines = [door.dial() for _ in range(5)]
        begun, before = dripping.rounds, door.run(processor_time())
        while dripping.rounds < begun + 6 or took < 100:
            assert lines[took % 5].submit()[0] == 250  # or no answer within 10 s
            took += 1
            time.sleep(0.01)
        spent = door.run(processor_time()) - before
        drips = 490 * (dripping.rounds - begun)
        assert door.sessions == 495  # none of them was closed, or kept out
    # Of the loop that all of them share, however much of the processor others take.
    assert spent < 0.0001 * drips + 0.003 * took, (spent, drips, took)
    assert Message.objects.count() == took


def test_i07_a_half_open_handshake_is_closed_after_its_time(open_door):
    door = open_door(Limits(handshake=0.3), certificate=the_certificate())
    with socket.create_connection(("127.0.0.1", door.tls_port), timeout=5) as plug:
        plug.sendall(b"\x16\x03\x01\x02")
        begun = time.monotonic()
        assert eventually(lambda: door.sessions == 1)
        assert plug.recv(100) == b""
        assert time.monotonic() - begun < 3
    assert eventually(lambda: door.sessions == 0)


def test_i07_clear_text_where_tls_is_due_is_closed(open_door):
    door = open_door(certificate=the_certificate())
    with socket.create_connection(("127.0.0.1", door.tls_port), timeout=5) as plug:
        plug.sendall(b"EHLO client.example\r\n")
        answer = plug.recv(100)
        assert b"220" not in answer
        while answer:
            answer = plug.recv(100)
    assert eventually(lambda: door.sessions == 0)


def test_i07_twenty_large_ones_at_once_stay_within_their_chunks(open_door):
    door = open_door(trust=TRUST)
    lines = [door.dial() for _ in range(20)]
    most = 0
    for line in lines:
        line.envelope()
        line.write(MESSAGE)
    for round_ in range(40):
        for number, line in enumerate(lines):
            line.write(b"%064d%064d\r\n" % (round_, number) * 500)
        most = max(most, door.held)
    for line in lines:
        line.write(b".\r\n")
    assert [line.reply()[0] for line in lines] == [250] * 20
    assert most < 20 * 2 * 262_144
    assert set(Message.objects.values_list("size", flat=True)) == {len(MESSAGE) + 40 * 500 * 130}
