"""Who hands over for a recipient that unsubscribed gets 250, and then a report as for every refusal."""

from email import message_from_bytes

import pytest
from django.utils import timezone

from submission.conftest import new_key
from vaguemestre.ledger import dsn, streams, unsubscribing
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Delivery, Message, OptOut


@pytest.fixture
def spared(ledger):
    marketing = streams.find("marketing")
    wanted = unsubscribing.Subscription(marketing, "gone@example.net")
    yield unsubscribing.unsubscribe(wanted, timezone.now())
    OptOut.objects.all().delete()


def submit(door, key):
    line = door.dial(key=key, user="app+marketing")
    code, _ = line.submit(recipients=("<gone@example.net>", "<here@example.net>"))
    assert code == 250
    return {one.recipient: (one.state, one.dsn_due) for one in Delivery.objects.all()}


def test_the_reverse_path_gets_a_report_of_who_unsubscribed(spared, door, key):
    assert submit(door, key) == {
        "gone@example.net": ("refused", True),
        "here@example.net": ("held", False),
    }
    assert dsn.send(timezone.now()) == 1
    report = Message.objects.get(via="report")
    assert [one.recipient for one in report.delivery_set.all()] == ["app@example.org"]
    parts = message_from_bytes(content_of(report).raw).get_payload()
    told = parts[1].get_payload()[1]
    assert (told["Final-Recipient"], told["Action"], told["Status"]) == (
        "rfc822; gone@example.net", "failed", "5.7.1",
    )  # fmt: skip
    assert dsn.send(timezone.now()) == 0


def test_a_key_that_wants_no_reports_gets_none(spared, door):
    states = submit(door, new_key(dsn=False)[1])
    assert states["gone@example.net"] == ("refused", False)
