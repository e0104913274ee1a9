"""What leaves is rendered by what was worked out for others like it: the same as if it were worked out alone."""

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from ledger.kit import ACTOR, NOW, connect, deliveries, post, rendered
from vaguemestre.ledger import contents, keys
from vaguemestre.ledger.accept import Via
from vaguemestre.mail.header import text_field

DATE = "Tue, 24 Nov 2026 12:00:00 +0000"
HOSTS = some.text("ab0.-", min_size=1, max_size=120) | some.text("é0a", min_size=1, max_size=120)


@given(host=HOSTS, via=some.sampled_from([*contents._PROTOCOLS]), uid=some.uuids())
@example(host="0" * 40 + ".example", via="api", uid=UUID(int=7))
@example(host="café.example", via="smtp", uid=UUID(int=7))
def test_the_trace_is_the_one_that_is_folded_with_its_own_identifier(host, via, uid):
    row = contents._Leaving(1, uid.hex, via, host, "", None, "2026-11-24 12:00:00", 0, "{}", b"")
    value = f"by {host} (Vaguemestre) with {contents._PROTOCOLS[via]} id {uid.hex}; {DATE}"
    assert contents._received(row) == text_field("Received", value)


@pytest.mark.django_db
@pytest.mark.parametrize("micro", [0, 999_999])
def test_the_trace_and_the_date_are_of_the_second_of_acceptance(micro):
    connect()
    message = post(now=NOW.replace(microsecond=micro))
    text = rendered(message, deliveries(message)[0].route).replace(b"\r\n ", b" ").decode()
    assert f" with HTTP id {message.uid.hex}; {DATE}\r\n" in text
    assert f"\r\nDate: {DATE}\r\n" in text


@pytest.mark.django_db
@pytest.mark.parametrize("signed_in", [False, True])
def test_the_trace_says_that_somebody_signed_in_only_where_that_is_so(signed_in):
    connect()
    key = keys.create("scanner", ["send"], ACTOR, NOW)[0] if signed_in else None
    message = post(via=Via.SMTP, submitter=key)
    how = "ESMTPA" if signed_in else "ESMTP"
    assert f"(Vaguemestre) with {how} id".encode() in rendered(message, deliveries(message)[0].route)
