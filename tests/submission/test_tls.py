"""STARTTLS and implicit TLS: nothing sent in clear text is read behind the handshake (I04)."""

import asyncio
import os
import resource
import socket
import ssl
import struct
import threading
import time

import pytest
import structlog.testing
import uvloop

from scripted.certificates import the_authority, the_certificate
from submission.door import MESSAGE, Line, eventually
from submission.test_main_path import stored
from vaguemestre.doors.submission import handshakes
from vaguemestre.doors.submission.certificate import Certificate
from vaguemestre.doors.submission.handshakes import Handshake
from vaguemestre.doors.submission.limits import Limits

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture
def door(open_door):
    return open_door(certificate=the_certificate())


def dial_tls(door):
    context = ssl.create_default_context(cadata=the_authority().pem.decode())
    plug = socket.create_connection(("127.0.0.1", door.tls_port), timeout=10)
    return Line(context.wrap_socket(plug, server_hostname="localhost"))


def submit_behind_starttls(door, key):
    line = door.dial()
    assert line.ask("STARTTLS")[0] == 220
    line.secure(the_authority())
    assert line.plug.version() == "TLSv1.3"
    assert line.ask("EHLO client.example")[0] == 250
    assert line.sign_in(key) == 235
    stored(line.submit())
    assert line.ask("QUIT")[0] == 221
    assert line.reply() == (0, "")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_message_behind_starttls(open_door, key, loop):
    door = open_door(Limits(linger=0.2), certificate=the_certificate(), loop_factory=loop)
    submit_behind_starttls(door, key)
    assert eventually(lambda: door.sessions == 0)


def test_a_message_behind_implicit_tls(door, key):
    line = dial_tls(door)
    assert line.reply()[0] == 220
    code, text = line.ask("EHLO client.example")
    assert code == 250
    assert "STARTTLS" not in text.splitlines()
    assert line.sign_in(key) == 235
    stored(line.submit(b"Subject: big\r\n\r\n" + b"x" * 70 * 30_000 + b"\r\n"))
    assert line.ask("STARTTLS")[0] == 503
    line.close()


@pytest.mark.parametrize("injected", [b"MAIL FROM:<evil@example.org>\r\n", b"EHLO evil\r\nNOOP\r\n", b"RS"])
def test_i04_what_is_pipelined_behind_starttls_is_thrown_away(door, key, injected):
    line = door.dial()
    assert line.ask(b"STARTTLS\r\n" + injected)[0] == 220
    line.secure(the_authority())
    line.write(b"NOOP\r\n")
    assert line.reply() == (250, "2.0.0 OK")  # exactly one reply, to what came under TLS
    assert line.ask("MAIL FROM:<>")[0] == 503  # EHLO is needed anew
    assert line.ask("EHLO client.example")[0] == 250
    assert line.sign_in(key) == 235
    stored(line.submit())


def test_starttls_within_a_transaction_forgets_it(open_door, key):
    door = open_door(certificate=the_certificate())
    line = door.dial(key=key)
    assert line.ask("MAIL FROM:<a@example.org>")[0] == 250
    assert line.ask("STARTTLS")[0] == 220
    line.secure(the_authority())
    assert line.ask("EHLO client.example")[0] == 250
    assert line.sign_in(key) == 235
    assert line.ask("RCPT TO:<b@example.net>")[0] == 503


def test_starttls_takes_no_argument(door):
    assert door.dial().ask("STARTTLS now")[0] == 501


def test_a_handshake_that_is_none_ends_the_session(door):
    line = door.dial()
    assert line.ask("STARTTLS")[0] == 220
    line.write(b"EHLO in clear text\r\n" * 10)
    assert line.closed()
    assert eventually(lambda: door.sessions == 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handshake_that_never_comes_ends_the_session(open_door, loop):
    door, line = _silent_behind_starttls(open_door, Limits(handshake=0.3), loop)
    begun = time.monotonic()
    assert line.closed()
    assert time.monotonic() - begun < 3
    assert eventually(lambda: door.sessions == 0)


def test_stopping_does_not_wait_for_who_is_still_shaking_hands(door):
    line = door.dial()
    assert line.ask("STARTTLS")[0] == 220
    stopping = threading.Thread(target=door.run, args=(door.listener.drain(10),))
    begun = time.monotonic()
    stopping.start()
    assert eventually(lambda: door.listener._house.draining)
    line.secure(the_authority())
    code, text = line.reply()
    assert (code, text[:6]) == (421, "4.3.2 ")
    assert line.reply() == (0, "")
    line.close()
    stopping.join(9)
    assert not stopping.is_alive()
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("loop", LOOPS)
def test_stopping_does_not_wait_for_a_handshake_that_never_comes(open_door, loop):
    door, line = _silent_behind_starttls(open_door, Limits(linger=0.2), loop)
    begun = time.monotonic()
    door.run(door.listener.drain(10))
    assert time.monotonic() - begun < 3
    assert line.closed()


def test_stopping_is_not_broken_off_by_a_handshake_whose_peer_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        plug, _ = server.accept()
        with plug:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
            far.close()
            Handshake(plug).drain()
            with pytest.raises(OSError, match="not connected"):
                plug.shutdown(socket.SHUT_RDWR)  # what stopping must bear
        Handshake(plug).drain()


def test_stopping_lets_content_finish_behind_starttls_however_short_the_farewell(open_door, key):
    door = open_door(Limits(linger=0.05), certificate=the_certificate())
    line = door.dial()
    assert line.ask("STARTTLS")[0] == 220
    line.secure(the_authority())
    assert line.ask("EHLO client.example")[0] == 250
    assert line.sign_in(key) == 235
    line.envelope()
    stopping = threading.Thread(target=door.run, args=(door.listener.drain(5),))
    stopping.start()
    assert eventually(lambda: door.listener._house.draining)
    time.sleep(0.15)
    line.write(MESSAGE + b".\r\n")
    assert line.reply()[0] == 250
    assert line.reply()[0] == 421
    line.close()
    stopping.join(3)
    assert not stopping.is_alive()


def test_who_finds_no_descriptor_free_is_accepted_once_one_is(door, monkeypatch):
    monkeypatch.setattr(handshakes, "REST", 0.05)
    plug = socket.socket()
    free = os.dup(0)
    os.close(free)
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    with structlog.testing.capture_logs() as events:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, usual[1]))
        try:
            plug.settimeout(10)
            plug.connect(("127.0.0.1", door.tls_port))
            assert eventually(lambda: len(events) >= 2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        context = ssl.create_default_context(cadata=the_authority().pem.decode())
        line = Line(context.wrap_socket(plug, server_hostname="localhost"))
        assert line.reply()[0] == 220
        line.close()
    assert {event["event"] for event in events} == {"accepting_failed"}
    assert len(events) < 100  # it rests between its tries


def test_tls_below_1_2_is_not_spoken(tmp_path):
    context = Certificate(*the_certificate().write(tmp_path)).context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def _silent_behind_starttls(open_door, limits, loop):
    """A listener, and a peer that does not shake hands."""
    door = open_door(limits, certificate=the_certificate(), loop_factory=loop)
    line = door.dial()
    assert line.ask("STARTTLS")[0] == 220
    return door, line
