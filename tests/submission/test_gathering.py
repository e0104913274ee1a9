"""Gathering: what arrives together is committed together, and nobody waits for nobody."""

import asyncio
import socket
import struct
from ipaddress import ip_network

import pytest

from scripted.leap import in_leaps
from submission.door import MESSAGE, eventually
from submission.test_commit import hold_writers
from vaguemestre.doors.submission.gatherer import Gatherer
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.threads import LedgerThreads


class Threads:
    """Ledger threads whose calls end when the test says so."""

    def __init__(self, workers=1):
        self.workers = workers
        self.calls = []

    def call(self, work, tell):
        gate = asyncio.Event()
        self.calls.append((*work.args, gate))
        self.last = asyncio.ensure_future(self._ended(gate, work, tell))

    async def _ended(self, gate, work, tell):
        await gate.wait()
        try:
            answers = work()
        except (RuntimeError, ValueError) as error:
            tell(None, error)
        else:
            tell(answers, None)


async def turn():
    for _ in range(5):
        await asyncio.sleep(0)


async def seconds_until(question):
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not question():
        await asyncio.sleep(0.0005)
    return loop.time() - begun


async def come_again(gatherer, every):
    while True:
        gatherer.add(16, lambda _answer: None)
        await asyncio.sleep(every)


def doubled(items):
    return [2 * item for item in items]


async def test_a_lone_item_goes_at_once():
    threads, told = Threads(), []
    gatherer = Gatherer(threads, doubled, str, most=10)
    gatherer.add(1, told.append)
    await turn()
    assert [items for items, _ in threads.calls] == [[1]]
    threads.calls[0][1].set()
    await turn()
    assert told == [2]
    gatherer.add(3, told.append)
    await turn()
    assert [items for items, _ in threads.calls] == [[1], [3]]


async def test_a_group_that_fails_is_told_so_and_holds_up_no_other():
    threads, told = Threads(), []

    def broken_once(items):
        if 1 in items:
            raise RuntimeError("the database's thread is gone")
        return doubled(items)

    gatherer = Gatherer(threads, broken_once, str, most=2, patience=0)
    for number in (1, 2, 3):
        gatherer.add(number, told.append)
    await turn()
    threads.calls[0][1].set()
    await turn()
    threads.calls[1][1].set()
    await turn()
    assert [items for items, _ in threads.calls] == [[1], [2, 3]]
    assert told == ["the database's thread is gone", 4, 6]


async def test_a_group_with_an_answer_too_few_is_told_so_and_holds_up_no_other():
    threads, told = Threads(), []

    def failed(error):
        return f"{error}, said {error.__traceback__.tb_frame.f_code.co_name}"  # what is logged of it is its place

    gatherer = Gatherer(threads, lambda items: doubled(items[1:]), failed, most=2, patience=0)
    for number in (1, 2, 3):
        gatherer.add(number, told.append)
    await turn()
    for place in range(2):
        threads.calls[place][1].set()
        await turn()
    assert told == [f"{few} answers for {few + 1}, said _ended" for few in (0, 1, 1)]


async def test_a_group_for_which_there_is_no_thread_is_told_so_and_holds_up_no_other():
    threads, told = LedgerThreads(1), []
    gatherer = Gatherer(threads, doubled, str, most=2, patience=0)
    threads.shutdown()
    for number in (1, 2, 3):
        gatherer.add(number, told.append)
    assert told == []  # who adds is not yet ready to be told
    await turn()
    assert told == ["the ledger's threads have ended"] * 3


async def test_one_that_cannot_be_told_keeps_no_other_from_its_answer():
    threads, told, faults = Threads(), [], []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: faults.append(context["exception"])
    )
    gatherer = Gatherer(threads, doubled, str, most=3, patience=0)
    for number in (1, 2, 3, 4):
        gatherer.add(number, told.append if number != 2 else lambda _answer: 1 / 0)
    await turn()
    for call in range(2):
        threads.calls[call][1].set()
        await turn()
    assert [items for items, _ in threads.calls] == [[1], [2, 3, 4]]
    assert told == [2, 6, 8]
    assert [type(fault) for fault in faults] == [ZeroDivisionError]


async def test_what_comes_during_a_flight_is_the_next_group():
    threads, told = Threads(), []
    gatherer = Gatherer(threads, doubled, str, most=3, patience=0)
    for number in range(6):
        gatherer.add(number, told.append)
    await turn()
    for call in range(3):
        threads.calls[call][1].set()
        await turn()
    assert [items for items, _ in threads.calls] == [[0], [1, 2, 3], [4, 5]]
    assert told == [0, 2, 4, 6, 8, 10]


@in_leaps
async def test_a_group_waits_for_its_like_and_no_longer():
    threads, told = Threads(), []
    gatherer = Gatherer(threads, doubled, str, most=10, patience=0.05)
    for number in range(3):
        gatherer.add(number, told.append)
    await turn()
    threads.calls[0][1].set()
    await turn()
    assert len(threads.calls) == 1  # two wait for the one that was answered just now
    gatherer.add(3, told.append)
    await turn()
    assert threads.calls[1][0] == [1, 2, 3]
    threads.calls[1][1].set()
    await asyncio.sleep(0.03)
    gatherer.add(4, told.append)  # from now on, however late it is
    assert await seconds_until(lambda: len(threads.calls) == 3) == pytest.approx(0.05, abs=0.001)
    assert threads.calls[2][0] == [4]


@in_leaps
async def test_what_comes_to_an_idle_ledger_waits_for_nobody():
    threads, told = Threads(), []
    gatherer = Gatherer(threads, doubled, str, most=10, patience=0.01)
    for number in (1, 2, 3):
        gatherer.add(number, told.append)
    await turn()
    threads.calls[0][1].set()
    await asyncio.sleep(0.02)
    threads.calls[1][1].set()
    await asyncio.sleep(0.06)
    gatherer.add(4, told.append)
    await turn()
    assert [items for items, _ in threads.calls] == [[1], [2, 3], [4]]


@in_leaps
async def test_a_group_waits_for_who_comes_one_after_another_and_four_times_as_long_at_most():
    threads, told = Threads(), []
    gatherer = Gatherer(threads, doubled, str, most=50, patience=0.04)
    for number in range(16):
        gatherer.add(number, told.append)
    await turn()
    threads.calls[0][1].set()
    await asyncio.sleep(0.1)
    threads.calls[1][1].set()
    await turn()
    coming = asyncio.create_task(come_again(gatherer, every=0.03))
    assert await seconds_until(lambda: len(threads.calls) == 3) == pytest.approx(4 * 0.04, abs=0.001)
    coming.cancel()
    assert threads.calls[2][0] == [16] * 6


async def test_each_thread_has_a_group():
    threads, told = Threads(2), []
    gatherer = Gatherer(threads, doubled, str, most=10)
    for number in range(4):
        gatherer.add(number, told.append)
    await turn()
    assert [items for items, _ in threads.calls] == [[0], [1]]


def test_thirty_sessions_that_wait_for_one_disk_share_its_commit(door, key):
    lines = [door.dial(key=key) for _ in range(30)]
    with writing():
        hold_writers()
        for number, line in enumerate(lines):
            line.envelope()
            line.write(MESSAGE + b"%d\r\n.\r\n" % number)
        assert eventually(lambda: len(door.listener._house.messages._waiting) >= 29)
    assert [line.reply()[0] for line in lines] == [250] * 30
    # What was taken in one transaction has one time of acceptance.
    assert len(set(Message.objects.values_list("accepted_at", flat=True))) <= 2


def test_one_bad_message_of_a_group_is_refused_alone(door, key):
    lines = [door.dial(key=key) for _ in range(10)]
    with writing():
        hold_writers()
        for number, line in enumerate(lines):
            line.envelope()
            stream = b"X-Vaguemestre-Stream: nothing\r\n" if number == 5 else b""
            line.write(stream + MESSAGE + b"%d\r\n.\r\n" % number)
        assert eventually(lambda: len(door.listener._house.messages._waiting) == 9)
    assert [line.reply()[0] for line in lines] == [250] * 5 + [550] + [250] * 4


def test_who_left_is_left_out_and_the_others_are_not_concerned(door, key):
    lines = [door.dial(key=key) for _ in range(6)]
    with writing():
        hold_writers()
        for number, line in enumerate(lines):
            line.envelope()
            line.write(MESSAGE + b"%d\r\n.\r\n" % number)
        assert eventually(lambda: len(door.listener._house.messages._waiting) == 5)
        for line in (lines[0], lines[3]):
            line.plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
            line.close()
        assert eventually(lambda: door.sessions == 4)
    assert [line.reply()[0] for line in lines if line not in (lines[0], lines[3])] == [250] * 4
    assert Message.objects.count() == 4


@pytest.mark.parametrize("text", [b"the same again"])
def test_the_same_bytes_again_are_the_same_message(door, open_door, key, text):
    raw = MESSAGE + text + b"\r\n"
    first = door.dial(key=key).submit(raw)
    assert first[0] == 250
    assert door.dial(key=key).submit(raw) == first
    assert open_door().dial(key=key).submit(raw) == first  # another listener, another process
    assert Message.objects.count() == 1
    assert door.dial(key=key).submit(raw, recipients=("<other@example.net>",)) != first
    assert door.dial(key=key).submit(raw, sender="<>") != first
    assert door.dial(key=key).submit(raw + b"\r\n") != first
    assert Message.objects.count() == 4


def test_the_same_bytes_for_another_stream_are_another_message(door, key):
    raw = MESSAGE + b"for two streams\r\n"
    replies = [door.dial(key=key, user=user).submit(raw) for user in ("app", "app+invoices", "app+reports")]
    assert [code for code, _ in replies] == [250] * 3
    assert door.dial(key=key, user="other+invoices").submit(raw) == replies[1]
    assert Message.objects.count() == 3


def test_the_same_bytes_of_two_peers_without_a_key_are_two_messages(open_door):
    door = open_door(trust=(ip_network("127.0.0.0/8"),))
    raw = MESSAGE + b"toner low\r\n"
    replies = [door.dial(source=source).submit(raw) for source in ("127.0.0.2", "127.0.0.3", "127.0.0.2")]
    assert [code for code, _ in replies] == [250] * 3
    assert replies[0] == replies[2] != replies[1]
    assert Message.objects.count() == 2


def test_the_same_bytes_twice_at_once_are_one_message(door, key):
    lines = [door.dial(key=key) for _ in range(5)]
    with writing():
        hold_writers()
        for line in lines:
            line.envelope()
            line.write(MESSAGE + b"twice\r\n.\r\n")
        assert eventually(lambda: len(door.listener._house.messages._waiting) == 4)
    assert len({line.reply() for line in lines}) == 1
    assert Message.objects.count() == 1
