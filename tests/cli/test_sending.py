"""`vaguemestre sending`, and what `check` says of a pause."""

import pytest

from vaguemestre.ledger import sending
from vaguemestre.ledger.models import Delivery

pytestmark = pytest.mark.django_db


def test_it_says_why_and_how_many_wait_and_what_was_cancelled(command):
    add = ("--sender-email", "office@example.test", "--host", "smtp.example.test")
    assert command("connection", "add", "Office", *add).status == 0
    assert command("sending", "show").output == "Mail is sent.\n"
    assert command("send", "--to", "zoe@example.test", "--subject", "Hello", "--text", "x").status == 0
    what, since, remedy = command("sending", "pause").lines
    assert what == "Sending is paused: whatever is handed over waits."
    assert since.endswith(". Deliveries waiting since before: 1.")
    assert remedy == "Resume it when you are ready: what waits leaves then."
    assert command("sending", "pause").refusals == ["Sending is paused already."]
    shown = command("sending", "show", "--json").json
    assert (shown["state"], shown["why"]["code"], shown["waiting"]) == ("paused", "by_hand", 1)
    resumed = command("sending", "resume", "--cancel-waiting")
    assert resumed.output == "Sending goes on. Deliveries cancelled before: 1.\n"
    assert command("sending", "resume").refusals == ["Sending is not paused; there is nothing to resume."]
    assert (sending.paused(), Delivery.objects.get().state) == (None, "cancelled")
