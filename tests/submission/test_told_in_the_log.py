"""What the log says of what went wrong: who, why, and no secret."""

import socket
import sqlite3

import psycopg
import pytest
import structlog
from django.db import connection
from django.db.utils import OperationalError
from django.utils import timezone

from scripted.certificates import the_certificate
from submission.conftest import new_key
from submission.door import MESSAGE, eventually
from vaguemestre.doors.submission import answers, troubles
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.signing_in import Denied, shown, sign_in
from vaguemestre.doors.submission.terms import Peer
from vaguemestre.ledger import keys
from vaguemestre.mail.secret import Secret

QUICK = Limits(refusal=0.01)
NOBODY = "vgm_000000000000_" + "A" * 43


@pytest.fixture
def door(open_door):
    return open_door(QUICK)


@pytest.fixture
def told():
    with structlog.testing.capture_logs() as events:
        yield events


def made(what):
    """The text of a key, and the prefix that the log may have."""
    if what == "unknown":
        return NOBODY, None
    key, text = new_key(
        scopes=("read",) if what == "scope" else ("send",),
        networks=("192.0.2.0/24",) if what == "network" else (),
    )
    if what == "revoked":
        keys.revoke(str(key.uid), "cli:tests", timezone.now())
    return (text[:-4] + "AAAA" if what == "wrong" else text), key.prefix


@pytest.mark.parametrize("what", ["unknown", "wrong", "revoked", "scope", "network"])
def test_a_refused_sign_in_is_told_with_who_and_why_and_answered_as_any_other(door, told, what):
    text, prefix = made(what)
    line = door.dial()
    assert line.sign_in(text, "shop-2+invoices") == 535
    (event,) = told
    assert event["event"] == "sign_in_refused"
    assert (event["user"], event["key"]) == ("shop-2+invoices", prefix)
    assert event["why"] == ("unknown" if what == "wrong" else what)
    assert text.rpartition("_")[2] not in str(told)


def test_a_sign_in_under_a_ban_is_told_as_such(door, key, told):
    for _ in range(3):
        door.listener._house.bans.refused("127.0.0.1 app")
    assert door.dial().sign_in(key) == 454
    assert [(event["why"], event["key"]) for event in told] == [("banned", None)]
    assert 58 < told[0]["banned_seconds"] <= 60


def test_a_ledger_that_cannot_be_asked_is_told_as_such(monkeypatch, told):
    def away(*_):
        raise OperationalError("no")

    monkeypatch.setattr(keys, "authenticate", away)
    found = sign_in(Credentials("app", Secret("x")), Peer.at("127.0.0.1"), timezone.now())
    assert found == Denied(answers.AUTH_LATER, "database")
    assert [event["event"] for event in told] == ["sign_in_failed"]


@pytest.mark.parametrize(
    "user",
    [
        "app",
        "app+invoices",
        "shop-2",
        "boss@example.org",
        "no_reply@mail.example.co.uk",
        "web01+form-replies",
    ],
)
def test_a_user_name_that_looks_like_one_is_shown(user):
    assert shown(typed(user)) == user


@pytest.mark.parametrize(
    "user",
    [NOBODY, "vgm_wrong-canary-1", "Summer2024!", "Sommer24", "abcdefghijklmnop", "x7k2p9", "9f8e7d6c5b4a", "hunter2024",
     "correct horse", "a\nb", "a\x1b[31m", "été", "", "app+", "p4ssw0rd", "Tr0ub4dor&3"],
)  # fmt: skip
def test_a_user_name_that_may_be_a_secret_is_not(user):
    assert shown(typed(user)) is None


@pytest.mark.parametrize("password", ["app", "invoices", "boss@example.org", ""])
def test_no_user_name_is_shown_where_the_password_is_no_key(password):
    """The two may have changed places: many a password looks like a name."""
    assert shown(Credentials("azerty123", Secret(password))) is None


def test_no_more_of_a_user_name_is_shown_than_64_characters():
    assert shown(typed("app." * 40 + "app")) == ("app." * 16)


def typed(user):
    return Credentials(user, Secret("vgm_wrong"))


def test_a_password_where_the_user_name_belongs_stays_out_of_the_log(door, key, told):
    assert door.dial().sign_in("app", key) == 535
    assert told[0]["user"] is None
    assert key not in str(told)


def test_a_message_that_was_taken_is_told_by_its_name(door, key, told):
    _, text = door.dial(key=key).submit(MESSAGE)
    assert eventually(lambda: told)
    (event,) = told
    (taken,) = event["messages"]
    assert text == f"2.0.0 queued as {taken['message']}"
    assert (taken["recipients"], taken["size"]) == (1, len(MESSAGE))


def test_a_refused_message_is_told_with_its_answer(door, key, told):
    line = door.dial(key=key)
    _, text = line.submit(b"no header\r\n")
    assert line.submit(MESSAGE, recipients=("<to@example.net>",))[0] == 250
    (event,) = [event for event in told if event["event"] == "message_refused"]
    assert text == f"{event['status']} {event['reason']}"


@pytest.mark.parametrize("implicit", [True, False])
def test_a_handshake_that_failed_is_told_with_the_reason_of_openssl(open_door, told, implicit):
    door = open_door(certificate=the_certificate())
    with socket.create_connection(("127.0.0.1", door.tls_port if implicit else door.port), timeout=5) as plug:
        if not implicit:
            assert plug.recv(1_000).startswith(b"220 ")
            plug.sendall(b"STARTTLS\r\n")
            assert plug.recv(1_000).startswith(b"220 ")
        plug.sendall(b"EHLO in clear text\r\n")
        while plug.recv(1_000):
            pass
    assert eventually(lambda: [event for event in told if event["event"] == "tls_failed"])
    (event,) = [event for event in told if event["event"] == "tls_failed"]
    assert event["error"] == "SSLError"
    assert event["reason"] in {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"}


def test_a_handshake_that_the_system_broke_off_is_told_with_its_reason():
    assert (
        troubles.of_tls(ConnectionResetError(104, "Connection reset by peer")) == "Connection reset by peer"
    )


def test_trouble_is_told_by_the_name_that_the_database_gives_it(ledger, told):
    table = "no_such_table"
    with pytest.raises(Exception) as raised, connection.cursor() as cursor:
        cursor.execute(f"SELECT 'canary' FROM {table}")
    troubles.tell("recording_failed", raised.value)
    assert told[0]["database"] == ("42P01" if connection.vendor == "postgresql" else "SQLITE_ERROR")
    assert "canary" not in str(told)


def test_of_a_full_disk_sqlite_says_so(tmp_path):
    base = sqlite3.connect(tmp_path / "full")
    base.execute("PRAGMA max_page_count = 2")
    base.execute("CREATE TABLE a (b)")
    with pytest.raises(sqlite3.OperationalError) as raised:
        base.execute("INSERT INTO a VALUES (zeroblob(100000))")
    base.close()
    wrapped = OperationalError("database or disk is full")
    wrapped.__cause__ = raised.value
    assert troubles.of_database(wrapped) == "SQLITE_FULL"
    assert troubles.of_database(psycopg.errors.DiskFull()) == "53100"
    assert troubles.of_database(ValueError()) is None
