"""The whitelist: what a server may tell of us, and what is to be said of it."""

from datetime import date

import pytest

from vaguemestre.policy.whitelist import Entry, Standing, plausible, standing

TODAY = date(2026, 11, 27)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::0:7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.5", "10.0.0.5"),
        (None, None),
        ("", None),
        ("0.0.0.0", None),
        ("255.255.255.255", None),
        ("224.0.0.1", None),
        ("::", None),
        ("ff02::1", None),
        ("fe80::1%eth0", None),
        ("203.0.113.7/32", None),
        ("<b>203.0.113.7</b>", None),
        ("203.0.113.007", None),
        ("9" * 100_000, None),
    ],
)
def test_what_a_server_tells_is_an_address_or_nothing(told, kept):
    assert plausible(told) == kept


@pytest.mark.parametrize(
    ("entries", "address", "expected"),
    [
        ([Entry("203.0.113.7")], "203.0.113.7", Standing.LISTED),
        ([Entry("203.0.113.7")], "203.0.113.8", Standing.UNLISTED),
        ([], "203.0.113.8", Standing.NOTHING_LISTED),
        ([], "172.17.0.2", Standing.INNER),
        ([Entry("203.0.113.7")], "100.64.3.2", Standing.INNER),
        ([Entry("203.0.113.7")], "fd00::1", Standing.INNER),
        ([Entry("10.1.0.5")], "10.1.0.5", Standing.LISTED),
        ([Entry("203.0.113.7", valid_from=date(2026, 11, 28))], "203.0.113.7", Standing.UNLISTED),
        ([Entry("203.0.113.7", valid_from=TODAY, valid_until=TODAY)], "203.0.113.7", Standing.LISTED),
        ([Entry("203.0.113.7", valid_until=date(2026, 11, 26))], "203.0.113.7", Standing.UNLISTED),
    ],
)
def test_an_address_that_is_not_on_the_list_that_day_is_an_alarm_unless_it_is_a_private_one(
    entries, address, expected
):
    assert standing(address, entries, TODAY, TODAY) is expected


def test_an_address_that_was_last_seen_in_its_days_is_no_alarm_after_them():
    ended = [Entry("203.0.113.7", valid_until=date(2026, 11, 26))]
    assert standing("203.0.113.7", ended, date(2026, 11, 26), TODAY) is Standing.LISTED
    begun = [Entry("203.0.113.7", valid_from=TODAY)]
    assert standing("203.0.113.7", begun, date(2026, 11, 26), TODAY) is Standing.LISTED
