"""Time, numbers and memory: what one submitter can use up, and what happens when the listener stops."""

import asyncio
import socket
import threading
import time
import tracemalloc
from contextlib import contextmanager

import pytest
import structlog

from submission.door import MESSAGE, eventually
from submission.test_commands import TRUST
from submission.test_commit import hold_writers, silent
from vaguemestre.doors.submission.house import House
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.threads import LedgerThreads


def test_sessions_beyond_the_limit_of_a_peer_are_told_so(open_door):
    door = open_door(Limits(sessions_of_peer=3))
    lines = [door.dial() for _ in range(3)]
    fourth = door.dial(greeted=False)
    code, text = fourth.reply()
    assert (code, text[:5]) == (421, "4.7.0")
    assert fourth.closed()
    lines[0].ask("QUIT")
    lines[0].close()
    assert eventually(lambda: door.sessions == 2)
    assert door.dial().ask("NOOP")[0] == 250


async def test_a_subscriber_of_ipv6_has_the_sessions_of_one_peer():
    house = House(Terms("mx.example.org", Limits(sessions_of_peer=3)), LedgerThreads(1), None)
    guests = {object(): Peer.at(f"2001:db8:1:2::{number}") for number in range(5)}
    answered = [house.admit(guest, peer) for guest, peer in guests.items()]
    assert [reply and reply.code for reply in answered] == [None] * 3 + [421] * 2
    assert house.admit(object(), Peer.at("2001:db8:1:3::1")) is None
    for guest, peer in guests.items():
        house.leave(guest, peer)  # the two that never entered are no matter
    assert len(house.guests) == 1
    assert len(house._by_place) == 1  # no memory is for those who left
    assert [house.admit(object(), Peer.at(f"2001:db8:1:2:ffff::{number}")) for number in range(3)] == [
        None
    ] * 3


def test_sessions_beyond_the_limit_of_all_are_told_so(open_door):
    door = open_door(Limits(sessions=2))
    door.dial()
    door.dial()
    assert door.dial(greeted=False).reply()[0] == 421


def test_an_idle_session_is_closed_after_its_time(open_door):
    line = open_door(Limits(idle=0.4, linger=0.1)).dial()
    begun = time.monotonic()
    code, text = line.reply()
    assert (code, text[:5]) == (421, "4.4.2")
    assert 0.35 < time.monotonic() - begun < 2
    assert line.reply() == (0, "")


@contextmanager
def waiting_for_its_commit(line):
    """A message is handed over, and nobody can commit until the end of the block."""
    with writing():
        hold_writers()
        line.envelope()
        line.write(MESSAGE + b".\r\n")
        yield


def test_who_waits_for_a_commit_is_not_idle_and_is_again_behind_it(open_door, key):
    line = open_door(Limits(idle=0.1, linger=0.1)).dial(key=key)
    with waiting_for_its_commit(line):
        assert silent(line, 0.25)
    assert line.reply()[0] == 250
    code, text = line.reply()
    assert (code, text[:5]) == (421, "4.4.2")


def test_who_writes_no_more_is_told_what_it_waits_for_and_let_go(door, key):
    line = door.dial(key=key)
    with waiting_for_its_commit(line):
        line.plug.shutdown(socket.SHUT_WR)
        assert silent(line, 0.1)
    assert line.reply()[0] == 250
    assert line.reply() == (0, "")


def test_a_command_written_byte_by_byte_does_not_stretch_the_time(open_door):
    line = open_door(Limits(idle=0.4, linger=0.1)).dial()
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < 3:
            line.write(b"N")
            time.sleep(0.05)
    except OSError:
        pass
    assert time.monotonic() - begun < 1.5


def test_commands_and_content_in_time_keep_the_session_open(open_door, key):
    line = open_door(Limits(idle=0.4, stride=100)).dial(key=key)
    for _ in range(5):
        time.sleep(0.15)
        assert line.ask("NOOP")[0] == 250
    line.envelope()
    line.write(b"Subject: slow\r\n\r\n")
    for _ in range(6):
        time.sleep(0.15)
        line.write(b"x" * 118 + b"\r\n")
    line.write(b".\r\n")
    assert line.reply()[0] == 250


def test_content_that_trickles_is_given_up(open_door, key):
    line = open_door(Limits(idle=0.4, linger=0.1)).dial(key=key)
    line.envelope()
    begun = time.monotonic()
    line.plug.settimeout(0.05)
    answer = b""
    while not answer and time.monotonic() - begun < 3:
        line.write(b"x\r\n")
        try:
            answer = line.plug.recv(200)
        except TimeoutError:
            continue
    assert answer.startswith(b"421 4.4.2 ")
    assert time.monotonic() - begun < 1.5
    assert Message.objects.count() == 0


def test_a_submitter_that_never_reads_is_closed(open_door):
    door = open_door(Limits(idle=0.5, linger=0.1, errors=10**6, idle_commands=10**6))
    line = door.dial()
    line.plug.settimeout(0.5)
    try:
        while True:
            line.write(b"HELP\r\n" * 10_000)
    except OSError:
        pass  # the listener does not read on while its answers are not read
    assert eventually(lambda: door.sessions == 0)


def test_nothing_is_taken_up_while_answers_are_not_read(door):
    line = door.dial()
    (session,) = door.listener._house.guests
    door.run(told_by_the_transport(session.pause_writing))
    line.write(b"NOOP\r\n")
    assert silent(line, 0.1)
    door.run(told_by_the_transport(session.resume_writing))
    assert line.reply()[0] == 250


async def told_by_the_transport(call):
    call()


def test_nothing_is_read_while_a_message_waits_for_its_commit(door, key):
    line = door.dial(key=key)
    with waiting_for_its_commit(line):
        line.plug.settimeout(0.5)
        with pytest.raises(TimeoutError):
            line.write(b"NOOP\r\n" * 5_000_000)  # 30 MB, far more than the kernel keeps
    line.plug.settimeout(10)
    assert line.reply()[0] == 250


def test_the_last_words_reach_a_submitter_that_is_still_writing(open_door):
    line = open_door().dial()
    line.write(b"x" * 5_000_000)  # without an end of line; not reset although nobody wants it
    assert line.reply()[0] == 500
    assert line.reply() == (0, "")


def test_endless_content_costs_no_more_memory_than_the_limit(open_door, key):
    door = open_door(Limits(message=1_000_000))
    line = door.dial(key=key)
    line.envelope()
    tracemalloc.start()
    try:
        for _ in range(60):
            line.write(b"x" * 1_048_574 + b"\r\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000  # of 63 MB
    line.write(b".\r\n")
    code, text = line.reply()
    assert (code, text[:5]) == (552, "5.3.4")
    assert line.submit()[0] == 250


def test_a_lost_session_leaves_no_message_and_no_memory(open_door, key):
    door = open_door()
    line = door.dial(key=key)
    line.envelope()
    line.write(MESSAGE * 1_000)
    assert eventually(lambda: door.held > 0)
    line.close()
    assert eventually(lambda: door.sessions == 0)
    assert door.held == 0
    assert Message.objects.count() == 0


def test_stopping_dismisses_the_idle_and_lets_content_finish(open_door, key):
    door = open_door()
    idle, busy = door.dial(key=key), door.dial(key=key)
    busy.envelope()
    busy.write(MESSAGE)
    assert eventually(lambda: door.held > 0)
    stopping = threading.Thread(target=door.run, args=(door.listener.drain(5),))
    stopping.start()
    code, text = idle.reply()
    assert (code, text[:5]) == (421, "4.3.2")
    assert idle.reply() == (0, "")
    idle.close()
    busy.write(b".\r\n")
    assert busy.reply()[0] == 250
    assert busy.reply()[0] == 421
    busy.close()
    stopping.join(3)
    assert not stopping.is_alive()
    assert Message.objects.count() == 1


def test_stopping_waits_no_longer_than_its_grace(open_door, key):
    door = open_door()
    busy = door.dial(key=key)
    busy.envelope()
    begun = time.monotonic()
    door.run(door.listener.drain(0.3))
    assert 0.25 < time.monotonic() - begun < 2
    assert busy.closed()
    assert door.sessions == 0


def test_what_was_answered_before_the_memory_is_full_is_said_before_the_session_is_closed(open_door):
    door = open_door(Limits(held=40_000), trust=TRUST)
    line = door.dial()
    assert line.ask("MAIL FROM:<app@example.org>")[0] == 250
    assert line.ask("RCPT TO:<to@example.net>")[0] == 250
    raised = []
    door.run(told(raised))
    with structlog.testing.capture_logs() as events:
        line.write(b"BDAT 10\r\nA: b\r\nC: dBDAT 200000\r\n" + b"x" * 50_000)
        assert line.reply() == (250, "2.0.0 10 octets in all")
        code, text = line.reply()
        assert (code, text[:6]) == (421, "4.3.1 ")
        assert line.reply() == (0, "")
    assert [event["event"] for event in events] == ["content_given_up"]
    assert raised == []
    assert door.held == 0


async def told(raised):
    """Keep what the loop would write into the log."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context))
