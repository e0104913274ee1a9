"""The short way of what was accepted: it leaves the rows that the general way leaves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from ledger.kit import connect, deliveries, events, in_doubt, later, post, report, settle, staged
from vaguemestre.ledger import settlements
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.claims import Claim
from vaguemestre.ledger.database import stored
from vaguemestre.ledger.models import Attempt, Connection
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db

OURS = {"id", "message_id", "attempt", "uid", "delivery_id"}  # what no two have alike
TEXTS = ["", 'é "2.0.0" \\', "Ok\n."]
TROUBLE = {"phase": "rcpt", "cause": "reply", "row": 9, "why": "greylisted", "facts": {}}
LATER = Reply(450, "4.2.0 Later")


def untried(office):
    """Nothing happened yet."""


def deferred(office):
    lease, claim = staged(office)
    values = {"trouble": TROUBLE, "counted": True, "delay": 60.0, "delay_until": later(minutes=10)}
    settle(lease, report(claim, DeliveryState.QUEUED, reply=LATER, **values), later())


def shown(row):
    """What a row holds, but for what is its own."""
    return {name: value for name, value in vars(row).items() if not name.startswith("_") and name not in OURS}


def story(office, life, recipients, reply, way):
    """What is kept of a message that was accepted after such a life."""
    message = post(*recipients, **way)
    life(office)
    lease, claim = staged(office, later(minutes=10))
    assert settle(lease, report(claim, DeliveryState.ACCEPTED, reply=reply), later(minutes=11))
    assert not settle(lease, report(claim, DeliveryState.ACCEPTED, reply=reply), later(minutes=12))
    kept = deliveries(message)
    tries = Attempt.objects.filter(message=message).order_by("pk")
    found = [*kept, *tries, *(event for one in kept for event in events(one))]
    return [shown(row) for row in found]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    life=some.sampled_from([untried, deferred, in_doubt]),
    recipients=some.sampled_from([["to@example.com"], ["to@example.com", "and@example.net"]]),
    reply=some.none() | some.builds(Reply, some.integers(200, 299), some.sampled_from(TEXTS)),
    via=some.sampled_from([Via.SMTP, Via.API]),
    notify=some.sampled_from([{}, {"to@example.com": "SUCCESS"}]),
)
def test_what_was_accepted_is_kept_as_the_general_way_keeps_it(life, recipients, reply, via, notify):
    office = Connection.objects.first() or connect()
    way = {"via": via, "notify": notify}
    short = story(office, life, recipients, reply, way)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(settlements, "_accepted", lambda report: [])
        assert story(office, life, recipients, reply, way) == short


def test_an_attempt_without_an_answer_leaves_the_words_of_the_one_before():
    office = connect()
    message = post()
    deferred(office)
    lease, claim = staged(office, later(minutes=10))
    settle(lease, report(claim, DeliveryState.QUEUED, delay_until=later(minutes=20)), later(minutes=11))
    (kept,) = deliveries(message)
    assert (kept.last_code, kept.last_text) == (450, "4.2.0 Later")


ZONES = some.sampled_from([UTC, UTC, UTC, timezone(timedelta(hours=2))])
MOMENTS = some.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001  with one of these
WHOLE = MOMENTS.map(lambda at: at.replace(microsecond=0))


@settings(max_examples=50, deadline=None)
@given(
    some.lists(
        some.tuples(MOMENTS | WHOLE, some.none() | MOMENTS | WHOLE, MOMENTS | WHOLE), min_size=1, max_size=4
    )
)
def test_the_times_of_many_reports_are_stored_as_each_by_itself(given_times):
    none = report(Claim("0" * 32, 1, {}, 1, ()), DeliveryState.ACCEPTED)
    reports = [replace(none, started_at=a, staged_at=b, ended_at=c) for a, b, c in given_times]
    times = [stored(at) for one in given_times for at in one]
    assert settlements._times(reports) == times
