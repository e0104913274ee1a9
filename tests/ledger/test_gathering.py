"""Threads that wait for the same disk share one transaction, and each has its own answer."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, OperationalError, transaction

from ledger.kit import NOW, at_once, connect, elsewhere, on_postgresql, sql, submission
from vaguemestre.ledger import gathering
from vaguemestre.ledger.draft import draft
from vaguemestre.ledger.gathering import Gathering
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.refusals import Refusal


class Work:
    """Doubles numbers; holds the first group until it is let go."""

    def __init__(self):
        self.groups = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, items):
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.begun.set()
            assert self.go.wait(10)
        if "die" in items:
            raise SystemExit
        if "fail" in items:
            raise OperationalError("the disk is full")
        return [item * 2 for item in items]


def gathered(first, *others):
    """The groups and the answers where `others` come, one after the other, while `first` is worked on."""
    work = Work()
    meeting = Gathering(work, threading.Lock())
    with ThreadPoolExecutor(1 + len(others)) as threads:
        answers = [threads.submit(meeting.put, first)]
        assert work.begun.wait(10)
        for number, other in enumerate(others, 1):
            answers.append(threads.submit(meeting.put, other))
            _until(lambda number=number: len(meeting._waiting) == number)
        work.go.set()
        return work.groups, [answer.exception(10) or answer.result() for answer in answers], meeting


def _until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_who_is_alone_is_worked_on_at_once():
    work = Work()
    work.go.set()
    meeting = Gathering(work, threading.Lock())
    began = time.perf_counter()
    assert [meeting.put(number) for number in range(100)] == [number * 2 for number in range(100)]
    assert work.groups == [[number] for number in range(100)]
    assert time.perf_counter() - began < 0.5


def test_who_comes_while_others_are_worked_on_goes_with_the_next_group():
    groups, answers, _ = gathered(1, 2, 3, 4)
    assert groups == [[1], [2, 3, 4]]
    assert answers == [2, 4, 6, 8]


def test_all_who_come_while_another_has_the_turn_are_one_group():
    work, turn = Work(), threading.Lock()
    work.go.set()
    meeting = Gathering(work, turn)
    with ThreadPoolExecutor(3) as threads:
        with turn:
            answers = [threads.submit(meeting.put, number) for number in (1, 2, 3)]
            _until(lambda: len(meeting._waiting) == 3)
        assert [answer.result(10) for answer in answers] == [2, 4, 6]
    assert [sorted(group) for group in work.groups] == [[1, 2, 3]]


def test_a_group_whose_work_fails_is_told_and_the_next_goes_on():
    groups, answers, meeting = gathered("fail", 2, 3)
    assert groups == [["fail"], [2, 3]]
    assert isinstance(answers[0], OperationalError)
    assert answers[1:] == [4, 6]
    assert meeting.put(5) == 10


def test_everyone_of_a_group_that_fails_is_told():
    _, answers, meeting = gathered(1, 2, "fail", 3)
    assert answers[0] == 2
    assert [type(answer) for answer in answers[1:]] == [OperationalError] * 3
    assert meeting.put(5) == 10


def test_a_leader_that_dies_strands_nobody():
    groups, answers, meeting = gathered(1, "die", 2, 3)
    assert groups == [[1], ["die", 2, 3]]
    assert answers[0] == 2
    assert isinstance(answers[1], SystemExit)
    assert [type(answer) for answer in answers[2:]] == [RuntimeError] * 2
    assert meeting.put(5) == 10


def test_work_that_gives_too_few_outcomes_is_an_error_for_all():
    meeting = Gathering(lambda items: items[1:], threading.Lock())
    with pytest.raises(ValueError, match="shorter"):
        meeting.put(1)


def test_many_threads_each_get_their_own_answer():
    calls = []

    def work(items):
        calls.append(len(items))
        time.sleep(0.001)
        return [item * 2 for item in items]

    meeting = Gathering(work, threading.Lock())
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda number: (number, meeting.put(number)), range(1, 801)))
    assert all(answer == number * 2 for number, answer in answers)
    assert sum(calls) == 800
    assert len(calls) < 400


# in the ledger


@pytest.mark.django_db(transaction=True)
def test_every_message_of_many_threads_is_in_the_ledger_once():
    connect()

    def hand_over():
        return [gathering.take(submission(), NOW) for _ in range(20)]

    answers = at_once([hand_over] * 12)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    uids = [one.uid for answer in answers for one in answer]
    assert len(set(uids)) == 240
    assert {*map(str, Message.objects.values_list("uid", flat=True))} == set(uids)


@pytest.mark.django_db(transaction=True)
def test_one_that_is_refused_among_many_harms_no_other():
    connect()
    answers = at_once(
        [lambda n=n: gathering.take(submission(stream="nowhere" if n == 7 else None), NOW) for n in range(16)]
    )
    assert [number for number, answer in enumerate(answers) if isinstance(answer, Refusal)] == [7]
    assert Message.objects.count() == 15


@pytest.mark.django_db(transaction=True)
def test_one_that_breaks_the_transaction_among_many_harms_no_other():
    connect()
    nowhere = Message(pk=10**9)  # only the database finds out
    jobs = [
        lambda n=n: gathering.take(submission(resent_from=nowhere if n % 8 == 7 else None), NOW)
        for n in range(32)
    ]
    answers = at_once(jobs)
    broken = [number for number, answer in enumerate(answers) if isinstance(answer, Exception)]
    assert broken == [7, 15, 23, 31]
    assert {type(answers[number]) for number in broken} == {IntegrityError}
    assert Message.objects.count() == 28


@pytest.mark.django_db(transaction=True)
def test_an_answer_comes_after_the_commit():
    connect()

    def hand_over_and_look():
        uid = gathering.take(submission(), NOW).uid
        return elsewhere(lambda: Message.objects.filter(uid=uid).count())

    assert at_once([hand_over_and_look] * 6) == [1] * 6


@pytest.mark.django_db(transaction=True)
def test_where_the_database_fails_all_are_told_and_nothing_is_stored():
    connect()
    sql("ALTER TABLE ledger_chunk RENAME TO ledger_chunk_away")
    try:
        answers = at_once([lambda: gathering.take(submission(), NOW)] * 8)
    finally:
        sql("ALTER TABLE ledger_chunk_away RENAME TO ledger_chunk")
    assert [isinstance(answer, Exception) for answer in answers] == [True] * 8
    assert Message.objects.count() == 0
    assert gathering.take(submission(), NOW).state == "queued"


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_of_its_own_a_message_is_not_shared():
    connect()
    with transaction.atomic():
        inside = gathering.take(submission(), NOW)
        transaction.set_rollback(True)
    assert not Message.objects.filter(uid=inside.uid).exists()


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_of_its_own_a_batch_waits_for_no_leader():
    connect()
    with gathering._turn, transaction.atomic():
        (answer,) = gathering.take_many([draft(submission(), NOW)], NOW)
    assert answer.state == "queued"


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_of_its_own_a_message_waits_for_no_leader():
    """Who leads may wait for that very transaction: on SQLite it holds the one write lock."""
    connect()
    held = threading.Event()

    def own():
        with transaction.atomic():
            sql("UPDATE ledger_instance SET default_mode = default_mode")
            held.set()
            _until(lambda: gathering._acceptances._led or on_postgresql())
            return gathering.take(submission(), NOW)

    def other():
        assert held.wait(10)
        return gathering.take(submission(), NOW)

    answers = at_once([own, other])
    assert [answer.state for answer in answers] == ["queued"] * 2
    assert Message.objects.count() == 2
