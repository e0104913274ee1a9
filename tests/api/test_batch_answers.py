"""A batch tells of each message in the words of a single one."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as some

from vaguemestre.doors.api.batch import _rendered
from vaguemestre.doors.api.problems import Rejected, problem_of
from vaguemestre.doors.api.rendering import render
from vaguemestre.ledger.acceptance import REFUSED
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
REFUSALS = some.builds(Rejected, some.just(422), some.sampled_from(["No.", "Non: é"]), some.just("to"))


def told(one):
    return accepted_summary(one) if isinstance(one, Accepted) else problem_of(one).body()


@given(some.lists(ACCEPTED | REFUSALS, max_size=8))
def test_each_of_a_batch_is_told_as_if_it_came_alone(became):
    assert _rendered(became) == render({"results": [told(one) for one in became]})
