"""The line of a message's time line that tells it late: what it waited for, and when it is tried next."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from console.kit import connect, hand_over, tags, text
from vaguemestre.ledger import delays, leases
from vaguemestre.ledger.models import Connection, Delivery, Message
from vaguemestre.policy.schedule import RetrySchedule

DEFERRED = {"phase": "rcpt", "cause": "reply", "row": 14, "why": "recipient_deferred", "facts": {}}


@pytest.fixture
def office(db):
    """A connection whose lane a courier holds."""
    made = connect("Bureau")
    leases.take("a-test's-courier", timezone.now())
    return made


def late(*recipients, **columns):
    """A message of more than 4 hours ago that was told late just now."""
    message = hand_over(*recipients)
    Message.objects.update(accepted_at=timezone.now() - timedelta(hours=4, seconds=1))
    Delivery.objects.filter(message=message).update(**columns)
    assert delays.look(timezone.now(), RetrySchedule()).told == max(1, len(recipients))
    return message


def time_line(answer):
    found = re.search(r'id="timeline".*', answer.content.decode(), re.DOTALL)[0]
    lines = re.findall(
        r"</time>(.*?)</li>", re.sub(r"<time[^>]*spoken[^>]*>(.*?)</time>", r"\1", found), re.DOTALL
    )
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", line)).strip() for line in lines]


def deferred(**columns):
    at = timezone.now() + timedelta(hours=3)
    tried = {"attempt": uuid4(), "trouble": DEFERRED, "last_code": 450, "last_text": "4.2.1 <b>busy</b>"}
    return at, tried | {"next_attempt_at": at} | columns


def test_it_gives_the_server_s_words_and_the_next_try(page, office):
    at, columns = deferred()
    answer = page.get(f"/messages/{late(**columns).uid}/")
    _, line = time_line(answer)
    assert line == (
        "En retard : il n’est pas encore parti · en file Le serveur demande de réessayer ce destinataire plus tard."
        f" Prochain essai le {at:%Y-%m-%d} à {at:%H:%M:%S} UTC."
        " Le serveur a dit : « 450 4.2.1 &lt;b&gt;busy&lt;/b&gt; »"
    )
    spoken = [a["datetime"] for tag, a in tags(answer) if tag == "time" and a.get("data-form") == "spoken"]
    assert spoken[1:] == [at.isoformat(timespec="seconds")] * 2  # behind that of the acceptance


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Late: it has not left yet · queued It waits for “Bureau”."),
        ("it", "In ritardo: non è ancora partito · in coda Attende «Bureau»."),
    ],
)
def test_it_names_the_connection_that_it_waits_for_in_the_reader_s_language(claire, office, language, words):
    Connection.objects.update(health="locked", health_why="sign_in_refused", health_since=timezone.now())
    claire.language = language
    claire.save()
    reader = Client(headers={"accept-language": language})
    reader.force_login(claire)
    _, line = time_line(reader.get(f"/messages/{late().uid}/"))
    assert line.startswith(words), line


def test_recipients_that_are_late_together_are_one_line(page, office):
    _, columns = deferred()
    message = late("lea@exemple.org", "zoe@exemple.org", **columns)
    assert len(time_line(page.get(f"/messages/{message.uid}/"))) == 2
    assert "En retard" in text(page.get(f"/messages/{message.uid}/"))
