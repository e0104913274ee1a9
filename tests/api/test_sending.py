"""Whether anything is sent at all, over HTTP."""

import pytest

from api.client import fields_of, key_with
from vaguemestre.ledger import sending
from vaguemestre.ledger.models import Delivery

pytestmark = pytest.mark.django_db
LETTER = {"to": ["zoe@example.test", "ann@example.test"], "subject": "Hello", "text": "x"}


def states():
    return sorted(Delivery.objects.values_list("state", flat=True))


def test_sending_is_paused_and_resumed_and_each_answer_says_how_it_is(api, office):
    running = {"state": "running", "why": None, "since": None, "by": None, "waiting": 0}
    assert api.get("/sending").json() == running
    api.post("/messages", LETTER)
    paused = api.post("/sending/pause").json()
    assert paused == api.get("/sending").json()
    assert (paused["state"], paused["by"], paused["waiting"]) == ("paused", "key:test", 2)
    assert paused["why"] == {
        "code": "by_hand",
        "text": "Sending is paused: whatever is handed over waits.",
        "remedy": "Resume it when you are ready: what waits leaves then.",
    }
    again = api.post("/sending/pause")
    assert (again.status_code, again.json()["code"]) == (409, "already_paused")
    message = api.post("/messages", LETTER).json()
    told = api.get(f"/messages/{message['id']}").json()["deliveries"][0]["outlook"]
    assert (told["code"], told["text"].partition(",")[0]) == (
        "sending_paused",
        "All of sending is paused: nothing leaves. Paused by the application “test”",
    )
    assert api.get(f"/connections/{office.uid}").json()["lane"]["code"] == "sending_paused"
    resumed = api.post("/sending/resume", {"cancel_waiting": False})
    assert resumed.json() == running | {"cancelled": 0}
    late = api.post("/sending/resume", {"cancel_waiting": True})
    assert (late.status_code, late.json()["code"]) == (409, "not_paused")
    assert states() == ["queued"] * 4


def test_what_waited_is_cancelled_only_where_that_is_asked_for(api, office):
    api.post("/messages", LETTER)
    api.post("/sending/pause")
    for body, field in (({}, "cancel_waiting"), ({"cancel_waiting": "yes"}, "cancel_waiting"),
                        ({"cancel_waiting": True, "why": "x"}, "why")):  # fmt: skip
        refused = api.post("/sending/resume", body)
        assert (refused.status_code, fields_of(refused)) == (422, [field])
    assert (sending.paused() is not None, states()) == (True, ["queued", "queued"])
    assert api.post("/sending/resume", {"cancel_waiting": True}).json()["cancelled"] == 2
    assert (sending.paused(), states()) == (None, ["cancelled", "cancelled"])


def test_a_key_that_reads_may_ask_and_only_an_administrator_s_may_change(db):
    reading = key_with("read", "connections", "send")
    assert reading.get("/sending").status_code == 200
    assert reading.post("/sending/pause").status_code == 403
    assert reading.post("/sending/resume", {"cancel_waiting": False}).status_code == 403
    assert key_with("send").get("/sending").status_code == 403
    assert sending.paused() is None
