"""Verify over HTTP: as one answer, as events, in the reader's language; a stored secret only where it is bound."""

import json
import socket
import socketserver
import threading
import time

import pytest

from api.client import connection, fields_of
from vaguemestre.ledger.models import Message, User, Verification
from vaguemestre.verification import probe

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]


class Smtp(socketserver.StreamRequestHandler):
    """Answers the commands of a verification."""

    def handle(self):
        self.wfile.write(b"220 mx.example.org ESMTP\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            self.server.heard.append(line)
            time.sleep(self.server.pause)
            answers = {b"EHLO": b"250-mx.example.org\r\n250 AUTH PLAIN\r\n", b"AUTH": b"535 5.7.8 no\r\n"}
            self.wfile.write(answers.get(word, self.server.mail if word == b"MAIL" else b"250 2.0.0 ok\r\n"))
            if word == b"QUIT":
                return


@pytest.fixture
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as listening:
        listening.daemon_threads = True
        listening.heard, listening.mail, listening.pause = [], b"250 2.1.0 ok\r\n", 0
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


@pytest.fixture
def typed(server):
    return {
        "sender_email": "office@example.org", "host": "127.0.0.1", "port": server.server_address[1], "encryption": "none",
    }  # fmt: skip


def test_typed_values_are_verified_before_anything_is_saved(api, typed):
    body = api.post("/connections/verify", typed).json()
    assert list(body) == [
        "ok", "steps", "findings", "capabilities", "tls", "seen_address", "mechanism", "presented",
    ]  # fmt: skip
    assert body["ok"] is True
    assert [step["phase"] for step in body["steps"]][-2:] == ["rset", "quit"]
    assert {"phase", "sent", "reply", "error", "elapsed_ms"} <= set(body["steps"][0])
    assert api.get("/connections").json()["items"] == []


def test_a_verification_counts_for_the_identical_save(api, typed):
    api.post("/connections/verify", typed)
    saved = api.post("/connections", typed | {"name": "Office"}).json()
    assert (saved["verification"]["state"], saved["unverified"]) == ("verified", False)


def test_a_refused_sender_is_a_finding_in_the_readers_language(api, typed, server):
    server.mail = b"550 5.7.1 not yours\r\n"
    english = api.post("/connections/verify", typed).json()
    assert english["ok"] is False
    assert {"code", "severity", "phase", "what", "why", "remedy", "who"} <= set(english["findings"][0])
    for accept, same in [
        ("fr-CA,fr;q=0.9", False),
        ("en", True),
        ("de", True),
        ("*", True),
        ("x" * 400, True),
        ("de;q=1,fr;q=0.1", False),
    ]:
        other = api.post("/connections/verify", typed, Accept_Language=accept).json()
        assert (other["findings"][0]["what"] == english["findings"][0]["what"]) is same, accept
        assert other["findings"][0]["code"] == english["findings"][0]["code"]
    assert api.post("/connections/verify", typed, Accept_Language="fr")["Content-Language"] == "fr"
    italian = api.post("/connections/verify", typed, Accept_Language="it-CH,fr;q=0.5")
    assert italian["Content-Language"] == "it"
    assert "non ti permette di inviare come" in italian.json()["findings"][0]["what"]


def events(response):
    """(seconds since the start, event, data)."""
    started, found = time.monotonic(), []
    for chunk in response.streaming_content:
        name, data = chunk.decode().strip().split("\n")
        found.append(
            (
                time.monotonic() - started,
                name.removeprefix("event: "),
                json.loads(data.removeprefix("data: ")),
            )
        )
    return found


def test_each_step_is_an_event_as_it_happens(api, typed, server):
    server.pause = 0.1
    response = api.post("/connections/verify", typed, Accept="text/event-stream")
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-store"
    found = events(response)
    assert {name for _, name, _ in found[:-1]} == {"step"}
    assert found[-1][1] == "result"
    assert found[-1][2]["steps"] == [data for _, _, data in found[:-1]]
    assert found[-1][0] - found[0][0] > 0.3


@pytest.mark.django_db(transaction=True)  # ending the response closes its connection to the database
def test_a_stream_that_is_dropped_ends_the_dialogue(api, typed, server):
    server.pause = 0.2
    response = api.post("/connections/verify", typed, Accept="text/event-stream")
    next(iter(response.streaming_content))
    response.close()
    assert Verification.objects.count() == 0


def test_a_saved_connection_is_verified_with_its_secret(api, typed, server):
    uid = api.post("/connections", typed | {"name": "O", "login": "me", "password": "canary-91c2"}).json()[
        "id"
    ]
    response = api.post(f"/connections/{uid}/verify")
    assert response.json()["ok"] is False
    assert any(line.startswith(b"AUTH PLAIN") for line in server.heard)
    assert b"canary" not in response.content
    assert "canary" not in json.dumps(list(Verification.objects.values_list("steps", "findings")))
    assert api.get(f"/connections/{uid}").json()["verification"]["state"] == "failed"


def test_l8_the_stored_secret_goes_nowhere_else(api, typed, server):
    uid = api.post("/connections", typed | {"name": "O", "login": "me", "password": "canary-91c2"}).json()[
        "id"
    ]
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.3)
        moved = typed | {"id": uid, "login": "me", "port": other.getsockname()[1]}
        response = api.post("/connections/verify", moved)
        assert (response.status_code, fields_of(response)) == (422, ["password"])
        with pytest.raises(TimeoutError):
            other.accept()
    assert server.heard == []
    assert api.post("/connections/verify", typed | {"id": uid, "login": "me"}).status_code == 200
    assert any(line.startswith(b"AUTH PLAIN") for line in server.heard)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": ""}, "host"),
        ({"host": 5}, "host"),
        ({"sender_email": "x"}, "sender_email"),
        ({"id": "none"}, "id"),
        ({"id": 5}, "id"),
        ({"port": "x"}, "port"),
        ({"colour": 1}, "colour"),
    ],
)
def test_values_with_a_fault_are_refused_before_anything_is_dialled(api, typed, server, changes, field):
    for accept in ("application/json", "text/event-stream"):
        response = api.post("/connections/verify", typed | changes, Accept=accept)
        assert (response.status_code, fields_of(response)) == (422, [field])
    assert server.heard == []


def test_too_many_at_once_are_429(api, typed):
    for _ in range(probe.OF_KEYS):
        assert probe._of_keys.acquire(blocking=False)
    try:
        response = api.post("/connections/verify", typed)
        assert (response.status_code, response["Retry-After"]) == (429, "5")
    finally:
        for _ in range(probe.OF_KEYS):
            probe._of_keys.release()
    assert api.post("/connections/verify", typed).status_code == 200


def test_60_verifications_a_minute_and_more(api, typed):
    started = time.monotonic()
    for _ in range(20):
        assert api.post("/connections/verify", typed).status_code == 200
    assert time.monotonic() - started < 20


def test_l10_a_refused_address_answers_alike(api, office):
    answers = [
        api.post("/connections/verify", {"sender_email": "a@b.c", "host": host}).json()
        for host in ("169.254.169.254", "10.0.0.1", "192.168.1.1")
    ]
    first, *others = [[(f["code"], f["what"], f["why"]) for f in answer["findings"]] for answer in answers]
    assert first
    assert all([(code) for code, *_ in other] == [code for code, *_ in first] for other in others)
    connection("Metadata", host="169.254.169.254")
    assert api.post("/connections/Metadata/verify").json()["ok"] is False


# The reader's own address


def test_the_readers_own_address_is_asked_for_on_request(api, typed, server):
    User.objects.create_user("Me@example.org", "a lighthouse in the mist")
    for recipient in ("me@EXAMPLE.org", typed["sender_email"]):
        api.post("/connections", typed | {"name": recipient})
        body = api.post("/connections/verify", typed | {"recipient": recipient}).json()
        assert [step["phase"] for step in body["steps"]][-4:] == ["mail", "rcpt", "rset", "quit"]


@pytest.mark.parametrize("recipient", ["stranger@example.com", "no address"])
def test_nobody_elses_address_is_asked_for(api, typed, recipient):
    saved = api.post("/connections", typed | {"name": "Office"}).json()["id"]
    answers = [
        api.post("/connections/verify", typed | {"recipient": recipient}),
        api.post(f"/connections/{saved}/verify", {"recipient": recipient}),
        api.post(f"/connections/{saved}/test", {"to": recipient}),
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    assert [fields_of(answer) for answer in answers] == [["recipient"], ["recipient"], ["to"]]
    assert not Message.objects.exists()


def test_a_test_message_is_accepted_as_any_message_is(api, typed):
    saved = api.post("/connections", typed | {"name": "Office"}).json()["id"]
    answer = api.post(f"/connections/{saved}/test", {"to": typed["sender_email"]})
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["connection"]) == ("queued", saved)
    assert Message.objects.get().tags == ["test"]
