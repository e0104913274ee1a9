"""A batch makes and tells of each message what a single one would be."""

import base64
from email import message_from_bytes
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vaguemestre.doors.api.batch import _rendered
from vaguemestre.doors.api.problems import Rejected, problem_of
from vaguemestre.doors.api.rendering import render
from vaguemestre.ledger.acceptance import REFUSED
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.resources import accepted_summary
from vaguemestre.ledger.submission import Accepted

RECIPIENTS = ["ann@example.net", '"a\\"b, c"@example.net', "zoé@example.net", "😀@example.net"]
REASONS = [{"code": "no_active_connection", "facts": {}}, REFUSED.told]
ACCEPTED = some.builds(
    Accepted,
    uid=some.uuids(version=4).map(str),
    state=some.sampled_from(["queued", "held"]),
    connection=some.sampled_from([None, str(UUID(int=7)), 'a "name"']),
    reason=some.sampled_from(REASONS),
    recipients=some.lists(some.sampled_from(RECIPIENTS), min_size=1, max_size=3, unique=True).map(tuple),
    spared=some.sampled_from([(), ("ann@example.net",), tuple(RECIPIENTS)]),
)
SAME, OTHER = {"text": "Hello", "html": "<p>Hello</p>"}, {"text": "Bonjour", "html": "<p>Bonjour</p>"}
PAGE = {"filename": "page.txt", "content": base64.b64encode(b"page").decode()}
INVOICE = {"number": "2026-118", "amount": "1234.50", "currency": "EUR"}
KINDS = [
    SAME,
    OTHER,
    SAME,
    SAME | {"attachments": [PAGE]},
    {"template": "invoice", "language": "en", "data": INVOICE},
    SAME,
]
REFUSALS = some.builds(Rejected, some.just(422), some.sampled_from(["No.", "Non: é"]), some.just("to"))


def told(one):
    return accepted_summary(one) if isinstance(one, Accepted) else problem_of(one).body()


@given(some.lists(ACCEPTED | REFUSALS, max_size=8))
def test_each_of_a_batch_is_told_as_if_it_came_alone(became):
    assert _rendered(became) == render({"results": [told(one) for one in became]})


def contents(results):
    stored = [Message.objects.get(uid=one["id"]) for one in results]
    return [content_of(message).raw for message in stored]


@pytest.mark.django_db
def test_each_of_a_batch_has_the_content_that_it_has_alone(api, office):
    batch = [kind | {"to": f"ann{place}@example.net"} for place, kind in enumerate(KINDS)]
    made = contents(api.post("/messages/batch", {"messages": batch}).json()["results"])
    assert made == contents([api.post("/messages", one).json() for one in batch])
    assert [message_from_bytes(one)["To"] for one in made] == [one["to"] for one in batch]
