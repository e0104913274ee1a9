"""When a message leaves, and what a connection is doing, over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone

from api.client import key_with
from vaguemestre.ledger import leases
from vaguemestre.ledger.models import Connection, Delivery, Lane

pytestmark = pytest.mark.django_db

LETTER = {"to": "zoe@example.test", "subject": "Hello", "text": "x"}


@pytest.fixture
def courier(office):
    """A courier that holds the office's lane."""
    leases.take("a-test's-courier", timezone.now())


def outlook(api, uid, **headers):
    return api.get(f"/messages/{uid}", **headers).json()["deliveries"][0]["outlook"]


def lane(api, office, **headers):
    return api.get(f"/connections/{office.uid}", **headers).json()["lane"]


def test_a_delivery_tells_when_it_leaves(api, courier):
    uid = api.post("/messages", LETTER).json()["id"]
    assert outlook(api, uid) == {"code": "leaves_now", "text": "It leaves now.", "at": None}
    until = timezone.now().replace(microsecond=0) + timedelta(minutes=4)
    Connection.objects.update(
        health="throttled", health_until=until, health_why="limit_reached", health_text="454 4.7.0 slow down"
    )
    told = outlook(api, uid)
    assert (told["code"], told["at"]) == ("throttled", until.isoformat().replace("+00:00", "Z"))
    assert told["text"] == (
        f"It waits for “Office”, which is tried again on {until:%Y-%m-%d} at {until:%H:%M:%S} UTC. The account reached"
        " a limit of its server; it goes on later. The server said: “454 4.7.0 slow down”"
    )


def test_texts_follow_accept_language_and_are_english_otherwise(api, office, courier):
    uid = api.post("/messages", LETTER).json()["id"]
    french = api.get(f"/messages/{uid}", Accept_Language="fr-CH, de;q=0.5")
    assert french["Content-Language"] == "fr"
    delivery = french.json()["deliveries"][0]
    assert delivery["outlook"]["text"] == "Il part maintenant."
    assert "seule connexion active" in delivery["reason"]["text"]
    assert outlook(api, uid, Accept_Language="tlh")["text"] == "It leaves now."
    assert lane(api, office, Accept_Language="fr")["text"] == "Un coursier va prendre ce qui est à envoyer."
    answer = api.post(f"/messages/{uid}/cancel", {}, Accept_Language="fr").json()
    assert answer["deliveries"][0]["outlook"]["text"].startswith("It was cancelled on 20")


def test_a_connection_tells_what_its_lane_is_doing(api, office, courier):
    idle = lane(api, office)
    assert idle == {
        "code": "idle", "text": "There is nothing to do: no message waits for it.", "until": None, "due": 0,
        "waiting": 0, "claimed": 0, "in_doubt": 0, "held": 0, "more": [], "oldest_due_at": None,
        "next_attempt_at": None, "sessions": None, "in_flight": None, "window": None, "manner": "bdat",
        "manner_why": None, "backup": None,
    }  # fmt: skip
    for send_at in (None, "2100-01-01T00:00:00Z"):
        Delivery.objects.filter(pk=_delivery_of(api)).update(
            **({"next_attempt_at": send_at} if send_at else {})
        )
    now = timezone.now()
    Lane.objects.update(
        manner="single", manner_why="data_broke", manner_at=now, manner_version=office.version,
        activity={"sessions": 1, "in_flight": 2, "window": 1, "waiting": 0, "at": now.isoformat()},
    )  # fmt: skip
    told = lane(api, office)
    assert (told["code"], told["due"], told["waiting"]) == ("sending", 1, 1)
    assert (told["sessions"], told["in_flight"], told["window"]) == (1, 2, 1)
    assert told["manner"] == "single"
    assert told["manner_why"].startswith("Sessions with PIPELINING broke, one after the other. Learned on ")
    assert told["next_attempt_at"] == "2100-01-01T00:00:00Z"


def _delivery_of(api):
    uid = api.post("/messages", LETTER).json()["id"]
    return Delivery.objects.get(message__uid=uid).pk


def test_a_list_of_connections_costs_no_look_at_their_lanes(api, office):
    assert "lane" not in api.get("/connections").json()["items"][0]


def test_an_application_reads_the_outlook_of_its_own_messages_alone(api, courier):
    shop, other = key_with("send"), key_with("send")
    uid = shop.post("/messages", LETTER).json()["id"]
    assert outlook(shop, uid)["code"] == "leaves_now"
    assert other.get(f"/messages/{uid}").status_code == 404


def test_d10_a_stale_attempt_is_a_conflict_and_so_is_a_second_answer(api, office, courier):
    uid = api.post("/messages", LETTER).json()["id"]
    attempt, earlier = "018f4e9a-0000-7000-8000-000000000002", "018f4e9a-0000-7000-8000-000000000001"
    Delivery.objects.update(
        state="in_doubt", attempt=attempt, doubts=1, doubt_reason="timeout", next_attempt_at=None
    )
    told = outlook(api, uid)
    assert told["code"] == "doubt_decide"
    assert told["text"].startswith("The server did not answer in time after the end of the message.")
    where = f"/messages/{uid}/resolve"
    stale = api.post(where, {"outcome": "send_again", "attempt": earlier})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_attempt")
    assert api.post(where, {"outcome": "send_again", "attempt": attempt}).status_code == 200
    second = api.post(where, {"outcome": "send_again", "attempt": attempt})
    assert (second.status_code, second.json()["code"]) == (409, "not_in_doubt")
    assert outlook(api, uid)["code"] == "leaves_now"
