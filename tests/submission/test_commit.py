"""250 means committed (L5), and everything else that the ledger can answer."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
import structlog.testing
from django.db import OperationalError, connection, connections
from django.db.backends.signals import connection_created

from submission.door import MESSAGE
from submission.test_main_path import stored
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Delivery, Idempotency, Instance, Message
from vaguemestre.ledger.storing import disk_full


def hold_writers():
    """Within a transaction: no other one can store a message until it ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE ledger_message IN EXCLUSIVE MODE")
    else:
        Instance.objects.count()  # BEGIN IMMEDIATE and the lock file


def begin(line):
    line.envelope()
    line.write(MESSAGE + b".\r\n")


def silent(line, seconds):
    line.plug.settimeout(seconds)
    try:
        return line.plug.recv(1) is None
    except TimeoutError:
        return True
    finally:
        line.plug.settimeout(10)


def test_no_250_comes_before_the_commit(door, key):
    line = door.dial(key=key)
    with writing():
        hold_writers()
        begin(line)
        assert silent(line, 0.5)
    code, text = line.reply()
    assert code == 250, text
    assert Message.objects.count() == 1


@pytest.mark.skipif("connection.vendor == 'postgresql'", reason="SQLite alone has one writer")
def test_who_writes_without_the_lock_is_waited_for(door, key):
    line = door.dial(key=key)
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        begin(line)
        assert silent(line, 0.1)
        shell.execute("COMMIT")
    assert line.reply()[0] == 250
    assert Message.objects.count() == 1


def test_what_waits_too_long_for_its_commit_is_not_taken(open_door, key):
    line = open_door(Limits(queueing=0.2)).dial(key=key)
    with writing():
        hold_writers()
        begin(line)
        time.sleep(0.5)
    code, text = line.reply()
    assert (code, text[:5]) == (451, "4.3.1")
    assert Message.objects.count() == 0
    assert line.submit()[0] == 250


def test_a_session_that_is_reset_while_it_waits_leaves_no_message(open_door, key):
    door = open_door()
    line = door.dial(key=key)
    with writing():
        hold_writers()
        begin(line)
        time.sleep(0.2)
        door.run(_abort(door))
    door.dial(key=key)  # behind it in the queue of the ledger's one thread
    assert Message.objects.count() == 0


async def _abort(door):
    for guest in tuple(door.listener._house.guests):
        guest.abort()


def test_trouble_of_the_database_is_451_and_the_next_message_is_taken(door, key):
    line = door.dial(key=key)
    with structlog.testing.capture_logs() as events, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_chunk RENAME TO ledger_elsewhere")
        try:
            code, text = line.submit()
        finally:
            cursor.execute("ALTER TABLE ledger_elsewhere RENAME TO ledger_chunk")
    assert (code, text[:5]) == (451, "4.3.1")
    assert [event["event"] for event in events] == ["recording_failed", "message_refused"]
    assert Message.objects.count() == 0
    assert line.submit()[0] == 250


def test_trouble_while_signing_in_is_454_and_counts_as_no_failure(door, key):
    line = door.dial()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_apikey RENAME TO ledger_elsewhere")
        try:
            codes = [line.sign_in(key) for _ in range(4)]
        finally:
            cursor.execute("ALTER TABLE ledger_elsewhere RENAME TO ledger_apikey")
    assert codes == [454] * 4
    assert line.sign_in(key) == 235


def test_a_message_whose_explanation_was_swept_makes_it_again(door, key):
    line = door.dial(key=key)
    assert line.submit()[0] == 250
    with writing(), connection.cursor() as cursor:
        for table in ("event", "delivery", "explanation"):
            cursor.execute(f"DELETE FROM ledger_{table}")
    assert line.submit()[0] == 250
    assert Delivery.objects.get().reason["code"] == "no_active_connection"


def test_a_message_that_the_database_refuses_twice_is_451_and_not_tried_for_ever(door, key):
    line = door.dial(key=key)
    with writing(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM ledger_apikey")
    code, text = line.submit()
    assert (code, text[:5]) == (451, "4.3.1")
    assert Message.objects.count() == 0


@pytest.mark.skipif("connection.vendor != 'sqlite'")
def test_a_full_disk_is_452(door, key):
    def no_more_pages(connection, **_):
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size instead

    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # no page is free
    line = door.dial(key=key)
    connection_created.connect(no_more_pages)
    door.run(door.threads.run(connections.close_all))
    try:
        code, text = line.submit(MESSAGE + b"x" * 998 + b"\r\n" * 200_000)
    finally:
        connection_created.disconnect(no_more_pages)
        door.run(door.threads.run(connections.close_all))
    assert (code, text[:5]) == (452, "4.3.1")
    assert Message.objects.count() == 0
    assert line.submit()[0] == 250


def test_a_full_disk_of_postgresql_is_known_by_its_words():
    assert disk_full(OperationalError('could not extend file "base/1/2": No space left on device'))
    assert disk_full(OSError(28, "No space left on device"))
    assert not disk_full(OperationalError("database is locked"))


def with_headers(*headers):
    return "".join(f"{header}\r\n" for header in headers).encode() + MESSAGE


def test_headers_of_ours_are_read(open_door, key):
    door = open_door(clock=lambda: datetime(2026, 12, 1, tzinfo=UTC))
    raw = with_headers(
        "X-Vaguemestre-Stream: invoices",
        "X-Vaguemestre-Tags: spring, paid ,",
        'X-Vaguemestre-Metadata: {"order": "17",',
        '  "shop": "nord"}',
        "X-Vaguemestre-Send-At: 2026-12-24T18:00:00+01:00",
    )
    message, content = stored(door.dial(key=key).submit(raw))
    assert content == raw
    assert message.stream.key == "invoices"
    assert message.tags == ["spring", "paid"]
    assert message.metadata == {"order": "17", "shop": "nord"}
    (delivery,) = message.delivery_set.all()
    assert delivery.next_attempt_at == datetime(2026, 12, 24, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("X-Vaguemestre-Stream: nothing", "5.7.1 There is no stream nothing."),
        ("X-Vaguemestre-Connection: nothing", "5.7.1 There is no connection nothing."),
        ("X-Vaguemestre-Metadata: [1]", "5.6.0 The header X-Vaguemestre-Metadata is not a JSON object"),
        ("X-Vaguemestre-Metadata: {" + '"a":' * 100, "5.6.0 The header X-Vaguemestre-Metadata is not"),
        (
            'X-Vaguemestre-Metadata: {"a": "1", "a": "2"}',
            "5.6.0 The header X-Vaguemestre-Metadata names an entry",
        ),
        ('X-Vaguemestre-Metadata: {"a": 1}', "5.6.0 The header X-Vaguemestre-Metadata is not"),
        ("X-Vaguemestre-Send-At: tomorrow", "5.6.0 The header X-Vaguemestre-Send-At is not a time"),
        (
            "X-Vaguemestre-Send-At: 2026-12-24T18:00:00",
            "5.6.0 The header X-Vaguemestre-Send-At is not a time",
        ),
        (
            "X-Vaguemestre-Idempotency-Key: " + "k" * 256,
            "5.6.0 The header X-Vaguemestre-Idempotency-Key is not 1 to 255",
        ),
        (
            "X-Vaguemestre-Idempotency-Key: order\t17",
            "5.6.0 The header X-Vaguemestre-Idempotency-Key is not 1 to 255",
        ),
        (
            "X-Vaguemestre-Steam: invoices",
            "5.6.0 The header X-Vaguemestre-Steam is not known; there are Stream,",
        ),
        ("X-Vaguemestre-Tags: " + ",".join("abcdefghijklmnopqrstu"), "5.6.0 At most 20 tags"),
        (
            "X-Vaguemestre-Stream: a\r\nX-Vaguemestre-Stream: b",
            "5.6.0 The header X-Vaguemestre-Stream is there twice",
        ),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_with_its_reason(door, key, header, answer):
    code, text = door.dial(key=key).submit(with_headers(header))
    assert code == 550
    assert text.startswith(answer)
    assert Message.objects.count() == 0


def test_the_same_idempotency_key_names_the_same_message(door, key):
    raw = with_headers(f"X-Vaguemestre-Idempotency-Key: {'order-17' * 31}is-long")  # 255 characters
    first = door.dial(key=key).submit(raw)
    assert first[0] == 250
    assert door.dial(key=key).submit(raw) == first
    assert Message.objects.count() == 1
    code, text = door.dial(key=key).submit(raw + b"more\r\n")
    assert (code, text) == (550, "5.5.4 The idempotency key was used for another message")


def test_twenty_at_once_with_one_idempotency_key_are_one_message(open_door, key):
    door = open_door(workers=1 if connection.vendor == "sqlite" else 4)
    raw = with_headers("X-Vaguemestre-Idempotency-Key: order-18")
    lines = [door.dial(key=key) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(lambda line: line.submit(raw), lines))
    assert len(answers) == 1
    assert answers.pop()[0] == 250
    assert Message.objects.count() == 1


def test_a_refused_message_leaves_its_idempotency_key_free(door, key):
    raw = with_headers("X-Vaguemestre-Idempotency-Key: order-19", "X-Vaguemestre-Stream: nothing")
    line = door.dial(key=key)
    assert line.submit(raw)[0] == 550
    assert Idempotency.objects.count() == 0
    assert line.submit(raw.replace(b"nothing", b"invoices"))[0] == 250


def test_sessions_at_once_all_end_in_the_ledger(open_door, key):
    door = open_door(workers=1 if connection.vendor == "sqlite" else 4)
    lines = [door.dial(key=key) for _ in range(30)]
    with ThreadPoolExecutor(30) as pool:
        codes = [codes for line_codes in pool.map(_submit_five, lines) for codes in line_codes]
    assert codes == [250] * 150
    assert Message.objects.count() == 150


def _submit_five(line):
    return [line.submit()[0] for _ in range(5)]


def test_the_clock_is_a_value(open_door, key):
    noon = datetime(2026, 12, 24, 12, tzinfo=UTC)
    message, _ = stored(open_door(clock=lambda: noon).dial(key=key).submit())
    assert message.accepted_at == noon
