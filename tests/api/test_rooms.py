"""Rooms for bodies: few at a time, some who wait, and nobody who waits for what does not move."""

import threading
import time
from contextlib import suppress
from io import BytesIO

import pytest

from vaguemestre.cli.web import THREADS
from vaguemestre.doors.api import rooms
from vaguemestre.doors.api.arrival import Arrival, BrokenOff
from vaguemestre.doors.api.rooms import Full, Room


def test_who_finds_no_place_waits_for_one_and_gets_it():
    room, inside = Room(places=1, queue=1, patience=20), []
    room.enter()
    late = threading.Thread(target=lambda: (room.enter(), inside.append("late")))
    late.start()
    time.sleep(0.05)
    assert inside == []
    room.leave()
    late.join(10)
    assert inside == ["late"]


def test_a_place_that_does_not_become_free_is_not_waited_for_for_ever():
    room = Room(places=2, queue=5, patience=0)
    room.enter()
    room.enter()
    with pytest.raises(Full):
        room.enter()
    room.leave()
    room.enter()


def test_only_so_many_wait():
    room = Room(places=1, queue=0, patience=600)
    room.enter()
    with pytest.raises(Full):
        room.enter()


def test_once_nothing_has_moved_for_so_long_nobody_waits_any_more():
    room, took = Room(places=1, queue=9, patience=1), []
    room.enter()
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(Full):
            room.enter()
        took.append(time.monotonic() - begun)
    assert took[0] >= 0.9
    assert took[1] < 0.5


def test_the_places_of_all_rooms_are_fewer_than_the_threads():
    """With those who may wait for long."""
    each = (rooms.SUBMITTERS, rooms.VISITORS, rooms.ARRIVING, rooms.LARGE_ONES)
    waiting = rooms.VISITORS._queue + rooms.ARRIVING._queue  # for a place in hand those wait who arrived
    assert sum(room._free for room in each) + waiting < THREADS
    assert rooms.LARGE_ONES._queue == rooms.ARRIVING._free


class Dripping:
    """A sender who is on his way."""

    def __init__(self):
        self.over = threading.Event()

    def read(self, _):
        self.over.wait(20)
        return b""


def large(source):
    return Arrival(source, rooms.LARGE + 1, "/api/v1/messages")


def test_slow_senders_of_large_bodies_do_not_keep_others_from_sending_large_ones():
    slow = [Dripping() for _ in range(3)]
    threads = [threading.Thread(target=broken_off, args=(large(source),)) for source in slow]
    for thread in threads:
        thread.start()
    quick = large(BytesIO(b"x" * (rooms.LARGE + 1)))
    begun = time.monotonic()
    assert len(quick.read()) == rooms.LARGE + 1
    assert time.monotonic() - begun < 5
    assert rooms.LARGE_ONES._free == 1  # until it is answered
    quick.leave()
    for source in slow:
        source.over.set()
    for thread in threads:
        thread.join(10)
    assert (rooms.LARGE_ONES._free, rooms.ARRIVING._free) == (2, 5)


def test_a_visitor_s_large_body_keeps_its_place_until_the_answer_and_a_small_one_while_it_comes():
    for length, kept in ((rooms.LARGE, 0), (rooms.LARGE + 1, 1)):
        before = rooms.VISITORS._free
        body = Arrival(BytesIO(b"x" * length), length, "/f/key")
        body.read()
        assert before - rooms.VISITORS._free == kept
        body.leave()
        assert rooms.VISITORS._free == before


def broken_off(body):
    with suppress(BrokenOff):
        body.read()
    body.leave()
