"""Which verifications are due to be renewed, which failed, and which certificates end: of the settings as they are."""

import pytest

from ledger.kit import ACTOR, NOW, connect, fresh, later, with_password
from vaguemestre.ledger import connections, renewals, verifications
from vaguemestre.ledger.models import Connection, Lane
from vaguemestre.ledger.verifications import Record
from vaguemestre.mail.validity import Validity

pytestmark = pytest.mark.django_db


def keep(connection, now=NOW, **facts):
    verifications.keep(connection.fingerprint, connection, Record(**({"ok": True} | facts)), now)


def due(*among, now):
    found = renewals.next_due([connection.pk for connection in among], now)
    return None if found is None else found.connection


def test_what_was_verified_is_due_a_day_and_a_half_later_at_the_latest():
    office, other = connect("Office"), connect("Other")
    keep(office)
    assert due(office, other, now=later(hours=11)) is None
    assert due(office, other, now=later(hours=36)) == office
    assert due(other, now=later(hours=36)) is None
    assert due(now=later(hours=36)) is None


def test_it_is_tried_exactly_as_deliveries_sign_in():
    office = with_password()
    keep(office, mechanism="LOGIN")
    found = renewals.next_due([office.pk], later(days=2))
    assert (found.draft.hop.mechanism, found.failed) == ("LOGIN", False)
    assert found.draft.hop.secret.reveal() == "hunter2-hunter2"
    assert found.draft.fingerprint == office.fingerprint


def test_a_secret_that_cannot_be_read_keeps_no_other_from_its_renewal():
    broken, fine = with_password("A broken one"), connect("Fine")
    for connection in (broken, fine):
        keep(connection)
    Connection.objects.filter(pk=broken.pk).update(
        login="another"
    )  # by hand: the secret is bound to the login
    assert due(broken, fine, now=later(days=2)) == fine


def test_only_the_latest_of_the_present_settings_counts():
    office = connect("Office")
    keep(office, ok=False)
    assert renewals.failed() == [office]
    keep(office, now=later(minutes=1))
    assert renewals.failed() == []
    keep(office, now=later(minutes=2), ok=False)
    connections.edit(str(office.uid), {"sender_email": "other@example.org"}, ACTOR, NOW)
    assert renewals.failed() == []
    assert due(office, now=later(days=2)) is None


def test_certificates_of_active_connections_that_end_within_three_weeks_are_told_the_first_first():
    soon, sooner, later_on, inactive = (connect(name) for name in ("Soon", "Sooner", "Later", "Inactive"))
    for connection, days in ((soon, 20), (sooner, -1), (later_on, 22), (inactive, 1)):
        keep(connection, validity=Validity(later(days=days)))
    connections.deactivate(str(inactive.uid), ACTOR, NOW)
    assert [one.connection for one in renewals.ending(NOW)] == [sooner, soon]
    assert renewals.ending(NOW)[1].ends_at == later(days=20)


def test_a_failed_verification_says_nothing_of_the_certificate():
    office = connect("Office")
    keep(office, validity=Validity(later(days=5), NOW))
    keep(fresh(office), now=later(minutes=1), ok=False)
    lane = Lane.objects.get()
    assert (lane.certificate_starts_at, lane.certificate_ends_at) == (NOW, later(days=5))


def test_a_certificate_that_is_made_for_days_is_told_in_its_last_third():
    office = connect("Office")
    keep(office, validity=Validity(later(days=6), NOW))
    assert renewals.ending(later(days=3)) == []
    assert [one.connection for one in renewals.ending(later(days=4))] == [office]


def test_each_step_is_taken_once_whoever_asks_and_however_often_it_starts_again():
    """What was told is in the database: no courier's memory is asked."""
    office = connect("Office")
    keep(office, validity=Validity(later(days=30)))

    def taken(days, among=(office.pk,)):
        return [one.notice.value for one in renewals.take_notices(among, later(days=days))]

    assert taken(9, among=()) == []
    told = [taken(days) for days in (8, 9, 9.5, 10, 23, 23.5, 28, 30, 30.5)]
    assert told == [[], ["weeks"], [], [], ["days"], [], ["hours"], ["over"], []]
    keep(fresh(office), now=later(days=31), validity=Validity(later(days=61)))
    assert [taken(days) for days in (31, 40, 40.5)] == [[], ["weeks"], []]


def test_of_two_that_look_at_once_one_takes_the_notice():
    office = connect("Office")
    keep(office, validity=Validity(later(days=3)))
    (one,) = renewals.ending(NOW)
    assert [renewals._take(one, None, NOW) for _ in range(2)] == [True, False]
