"""What servers saw: kept for each connection, bounded, compared with the list, and told once."""

from dataclasses import replace
from datetime import date

import pytest
from django.db import IntegrityError, transaction

from ledger.kit import ACTOR, NOW, at_once, connect, later
from vaguemestre.ledger import connections, sightings, source_addresses, verifications
from vaguemestre.ledger.models import Sighting, SourceAddress

pytestmark = pytest.mark.django_db


def publish(*addresses):
    items = [item if isinstance(item, dict) else {"address": item} for item in addresses]
    source_addresses.replace(items, ACTOR, NOW)


def kept(connection):
    found = Sighting.objects.filter(connection=connection).order_by("id")
    return [(row.address, row.first_seen_at, row.last_seen_at) for row in found]


def seen(address, connection):
    """What a verification keeps whose server saw us come from there."""
    return verifications.Record(ok=True, host=connection.host, seen_address=address)


def alarms(now=NOW):
    return [(alarm.connection_id, alarm.addresses) for alarm in sightings.take_alarms(now)]


def test_an_address_is_kept_once_for_each_connection_with_its_first_and_last_time():
    office, other = connect("Office"), connect("Other")
    sightings.note(office.pk, "203.0.113.7", NOW)
    sightings.note(office.pk, "203.0.113.7", later(days=2))
    sightings.note(other.pk, "203.0.113.7", later(days=1))
    assert kept(office) == [("203.0.113.7", NOW, later(days=2))]
    assert kept(other) == [("203.0.113.7", later(days=1), later(days=1))]


def test_a_verification_that_began_before_a_delivery_saw_the_address_first_is_kept_all_the_same():
    office = connect()
    sightings.note(office.pk, "203.0.113.7", later(seconds=5))  # while the server took its time
    verifications.keep(office.fingerprint, office, seen("203.0.113.7", office), NOW)
    assert verifications.state_of(office).state == "verified"
    assert kept(office) == [("203.0.113.7", later(seconds=5), later(seconds=5))]


def test_what_is_no_address_is_not_kept():
    office = connect()
    for told in ("", "<script>", "0.0.0.0", "203.0.113.7 DROP TABLE"):
        sightings.note(office.pk, told, NOW)
    assert kept(office) == []


def test_a_server_that_tells_another_address_each_time_fills_no_table():
    office = connect()
    for number in range(30):
        sightings.note(office.pk, f"203.0.113.{number}", later(minutes=number))
    assert [address for address, _, _ in kept(office)] == [f"203.0.113.{number}" for number in range(10, 30)]


def test_a_verification_of_saved_values_keeps_what_its_server_saw():
    office = connect()
    verifications.keep(office.fingerprint, office, seen("203.0.113.7", office), NOW)
    verifications.keep("another login", office, seen("203.0.113.8", office), NOW)
    verifications.keep("of none", None, verifications.Record(ok=True, seen_address="203.0.113.9"), NOW)
    assert [address for address, _, _ in kept(office)] == ["203.0.113.7", "203.0.113.8"]
    assert set(source_addresses.observed()) == {"203.0.113.7", "203.0.113.8", "203.0.113.9"}


@pytest.mark.parametrize("changed", [{"host": "smtp.example.net"}, {"source_address": "192.0.2.1"}])
def test_what_another_server_saw_that_was_tried_on_its_form_is_not_the_connections(changed):
    """Nor what its own server saw of another local address: neither is where its mail comes from."""
    office = connect()
    verifications.keep("as typed", office, replace(seen("203.0.113.9", office), **changed), NOW)
    assert kept(office) == []
    assert source_addresses.observed() == ["203.0.113.9"]
    publish("203.0.113.7")
    assert alarms() == []


def test_what_was_seen_before_the_connection_was_saved_is_its_own_afterwards():
    typed = {"name": "Office", "sender_email": "office@example.org", "host": "smtp.example.org"}
    draft = connections.draft(typed)
    verifications.keep(
        draft.fingerprint, None, verifications.Record(ok=True, seen_address="203.0.113.7"), NOW
    )
    saved = connections.create(typed, ACTOR, NOW).connection
    assert [address for address, _, _ in kept(saved)] == ["203.0.113.7"]


def test_an_unlisted_address_is_told_once_and_again_after_it_was_listed_in_between():
    office = connect()
    sightings.note(office.pk, "203.0.113.8", NOW)
    assert alarms() == []  # nothing is published yet
    publish("203.0.113.7")
    assert alarms() == [(office.pk, ("203.0.113.8",))]
    assert alarms() == []
    sightings.note(office.pk, "203.0.113.9", NOW)
    assert alarms() == [(office.pk, ("203.0.113.8", "203.0.113.9"))]
    publish("203.0.113.7", "203.0.113.8", "203.0.113.9")
    assert alarms() == []
    publish("203.0.113.7")
    assert alarms() == [(office.pk, ("203.0.113.8", "203.0.113.9"))]


def test_an_address_that_comes_back_after_a_month_is_told_again():
    office = connect()
    publish("203.0.113.7")
    sightings.note(office.pk, "203.0.113.8", NOW)
    assert alarms() == [(office.pk, ("203.0.113.8",))]
    sightings.note(office.pk, "203.0.113.8", later(days=29))
    assert alarms(later(days=29)) == []
    sightings.note(office.pk, "203.0.113.8", later(days=60))
    assert alarms(later(days=60)) == [(office.pk, ("203.0.113.8",))]


@pytest.mark.django_db(transaction=True)
def test_of_many_couriers_one_tells():
    office = connect()
    publish("203.0.113.7")
    sightings.note(office.pk, "203.0.113.8", NOW)
    took = at_once([lambda: sightings.take_alarms(NOW)] * 6)
    assert sum(map(len, took)) == 1


def test_no_alarm_for_private_addresses_old_sightings_deleted_connections_and_what_was_forgotten():
    office, gone = connect("Office"), connect("Gone")
    publish("203.0.113.7")
    sightings.note(office.pk, "172.17.0.2", NOW)
    sightings.note(office.pk, "203.0.113.8", later(days=-31))
    sightings.note(gone.pk, "203.0.113.9", NOW)
    connections.delete(str(gone.uid), ACTOR, NOW)
    sightings.note(office.pk, "203.0.113.10", NOW)
    sightings.forget(Sighting.objects.get(address="203.0.113.10").pk)
    assert alarms() == []


def test_an_address_that_is_not_in_use_yet_or_no_longer_is_an_alarm():
    office = connect()
    publish(
        {"address": "203.0.113.7", "valid_from": "2026-12-01"},
        {"address": "203.0.113.8", "valid_until": "2026-11-23"},
        {"address": "203.0.113.9", "valid_until": "2026-11-24"},
    )
    for last in (7, 8, 9):
        sightings.note(office.pk, f"203.0.113.{last}", NOW)
    assert alarms() == [(office.pk, ("203.0.113.7", "203.0.113.8"))]
    assert [seen.address for seen in sightings.unlisted(later(days=7))] == ["203.0.113.8"]


def test_the_database_takes_no_address_that_ends_before_it_begins():
    backwards = SourceAddress(
        address="203.0.113.7", position=0, valid_from=date(2026, 12, 2), valid_until=date(2026, 12, 1)
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        backwards.save()
