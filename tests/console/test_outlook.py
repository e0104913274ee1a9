"""What the pages say of when a message leaves, and of what a connection is doing."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from console.kit import ACTOR, connect, hand_over, tags, text
from vaguemestre.ledger import connections, leases
from vaguemestre.ledger.models import Connection, Delivery, Lane

NASTY = "451 4.7.1 <script>alert(1)</script> Greylisted %(x)s 100%"
DEFERRED = {"phase": "rcpt", "cause": "reply", "row": 14, "why": "recipient_deferred", "facts": {}}


@pytest.fixture
def office(db):
    """A connection whose lane a courier holds."""
    made = connect("Bureau")
    leases.take("a-test's-courier", timezone.now())
    return made


def told(answer):
    """The sentences of each recipient."""
    found = re.findall(r'<p class="outlook">(.*?)</p>', answer.content.decode(), re.DOTALL)
    return [re.sub(r"<[^>]+>", "", one).replace("\N{NO-BREAK SPACE}", " ") for one in found]


def look_again(answer, identity):
    return next(a.get("hx-trigger") for _tag, a in tags(answer) if a.get("id") == identity)


def test_each_recipient_of_a_message_has_one_plain_answer(page, office):
    message = hand_over("lea@exemple.org", "paul@exemple.org")
    first = Delivery.objects.order_by("pk").first()
    at = timezone.now() + timedelta(minutes=5)
    Delivery.objects.filter(pk=first.pk).update(
        attempt=uuid4(), trouble=DEFERRED, last_code=451, last_text=NASTY[4:], next_attempt_at=at
    )

    answer = page.get(f"/messages/{message.uid}/")

    grey, now = told(answer)
    assert grey.startswith("Le serveur fait d’abord patienter ceux qu’il ne connaît pas (liste grise)")
    assert now == "Il part maintenant."
    times = [a for tag, a in tags(answer) if tag == "time" and a.get("data-form") == "spoken"]
    assert [a["datetime"] for a in times[1:]] == [at.isoformat(timespec="seconds")]  # behind the acceptance's
    assert NASTY in text(answer)
    assert "<script>alert" not in answer.content.decode()
    assert look_again(answer, "message") == "every 3s"


@pytest.mark.parametrize(
    ("columns", "sentence", "pace"),
    [
        ({"state": "accepted", "settled_at": timezone.now(), "last_code": 250, "last_text": "Ok"},
         "Accepté par le serveur le ", None),
        ({"state": "cancelled", "settled_at": timezone.now()}, "Annulé le ", None),
        ({"state": "held"}, "« Bureau » est la seule connexion active.", "every 10s"),
        ({"next_attempt_at": timezone.now() + timedelta(hours=4)}, "Départ le ", "every 10s"),
        ({"expires_at": timezone.now() + timedelta(hours=2), "next_attempt_at": timezone.now() + timedelta(hours=4)},
         "Il expirera le ", "every 10s"),
    ],
)  # fmt: skip
def test_a_page_is_looked_at_again_while_something_may_change(page, office, columns, sentence, pace):
    message = hand_over()
    Delivery.objects.update(**columns)

    answer = page.get(f"/messages/{message.uid}/")

    assert told(answer)[0].startswith(sentence)
    assert look_again(answer, "message") == pace


def test_a_message_of_a_locked_connection_says_who_must_act(page, office):
    message = hand_over()
    Connection.objects.update(health="locked", health_why="sign_in_refused", health_text="535 <b>non</b>")

    answer = page.get(f"/messages/{message.uid}/")

    assert told(answer)[0] == (
        "Il attend « Bureau ». Le serveur a refusé le login ou le mot de passe. La connexion est bloquée. Elle enverra "
        "de nouveau dès que le mot de passe aura été ressaisi ou qu’une vérification aura réussi."
    )
    assert "535 &lt;b&gt;non&lt;/b&gt;" in answer.content.decode()


def test_a_connection_tells_what_it_is_doing_and_how(page, office):
    hand_over()
    hand_over(send_at=timezone.now() + timedelta(hours=1))
    now = timezone.now()
    Lane.objects.update(
        activity={"sessions": 2, "in_flight": 7, "window": 4, "waiting": 0, "at": now.isoformat()},
        manner="data", manner_why="bdat_broke", manner_at=now, manner_version=office.version,
    )  # fmt: skip

    answer = page.get(f"/connections/{office.uid}/")

    words = text(answer)
    assert "Elle est en train d’envoyer." in words
    assert "À envoyer 1 Plus tard 1 En cours 0 Incertains 0 Sessions 2 En route 7" in words
    assert "Un message aussitôt derrière l’autre, là où le serveur propose PIPELINING (4 à la fois" in words
    assert "Les sessions avec CHUNKING se rompaient l’une après l’autre. Appris le " in words


def test_the_block_comes_alone_and_in_english_too(page, claire, office):
    by = connections.pause(str(office.uid), ACTOR, timezone.now()).connection.health_text
    assert (
        f"Elle est en pause, et reprendra dès qu’on la relancera. Mise en pause par {by.removeprefix('user:')}."
        in (text(page.get(f"/connections/{office.uid}/lane/")))
    )
    claire.language = "en"
    claire.save()
    answer = page.get(f"/connections/{office.uid}/lane/")
    assert "It is paused." in text(answer)
    assert "<html" not in answer.content.decode()
    assert look_again(answer, "lane") == "every 5s"


def test_very_many_are_only_said_to_be_more(page, office, monkeypatch):
    monkeypatch.setattr("vaguemestre.ledger.outlook.MOST", 2)
    for _ in range(3):
        hand_over()
    assert "plus de 2" in text(page.get(f"/connections/{office.uid}/lane/"))


def test_a_new_connection_and_an_idle_one_have_no_figures(page, office):
    assert 'id="lane"' not in page.get("/connections/new/").content.decode()
    answer = page.get(f"/connections/{office.uid}/lane/")
    assert "Rien à faire" in text(answer)
    assert "gauges" not in answer.content.decode()


def test_an_unknown_connection_has_no_lane(page):
    assert page.get(f"/connections/{uuid4()}/lane/").status_code == 404
