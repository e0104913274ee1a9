"""The installation's facts: mode, ruling, source addresses, the first administrator, verifications, readiness."""

import time

import pytest

from ledger.kit import ACTOR, NOW, at_once, connect, fault_codes, fresh, later, post, with_password
from vaguemestre.ledger import connections, instance, messages, resources, source_addresses, verifications
from vaguemestre.ledger.connections import saved_draft
from vaguemestre.ledger.instance import RulingKind
from vaguemestre.ledger.models import Connection, SourceAddress, User, Verification, Version
from vaguemestre.ledger.refusals import Conflict, Refusal

pytestmark = pytest.mark.django_db


# mode and ruling


def test_override_is_the_initial_mode_and_fallback_can_be_chosen():
    assert instance.settings()["default_mode"] == "override"
    assert instance.change_settings({"default_mode": "fallback"}, ACTOR, NOW)["default_mode"] == "fallback"
    assert Version.objects.get(kind="setting").changes == {"default_mode": ["override", "fallback"]}


def test_verifications_are_renewed_unless_the_operator_says_otherwise_and_no_route_depends_on_it():
    epoch = instance.epoch()
    assert instance.settings()["renew_verifications"] is True
    assert (
        instance.change_settings({"renew_verifications": False}, ACTOR, NOW)["renew_verifications"] is False
    )
    assert Version.objects.get(kind="setting").changes == {"renew_verifications": [True, False]}
    assert instance.epoch() == epoch


@pytest.mark.parametrize(
    "values",
    [
        {"default_mode": "perhaps"},
        {"default_mode": None},
        {"default_mode": []},
        {"default_mode": {}},
        {"renew_verifications": "yes"},
        {"renew_verifications": None},
        {"x": 1},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(values):
    with pytest.raises(Refusal):
        instance.change_settings(values, ACTOR, NOW)
    assert instance.settings() == {"default_mode": "override", "renew_verifications": True}


def test_the_ruling_names_the_rule_that_decides_now():
    assert instance.ruling() == instance.Ruling(RulingKind.NONE, None)
    one = connect("One")
    assert instance.ruling() == instance.Ruling(RulingKind.ONLY, one)
    two = connect("Two")
    assert instance.ruling() == instance.Ruling(RulingKind.SEVERAL, None)
    connections.make_default(str(two.uid), ACTOR, NOW)
    assert instance.ruling() == instance.Ruling(RulingKind.DEFAULT, two)
    instance.change_settings({"default_mode": "fallback"}, ACTOR, NOW)
    assert instance.ruling() == instance.Ruling(RulingKind.FALLBACK, two)


# source addresses


def test_the_list_is_empty_at_first():
    assert source_addresses.resource() == {"items": [], "observed": [], "sightings": []}


def test_the_environment_seeds_the_list_once_and_then_it_is_the_operators():
    source_addresses.seed([], NOW)
    source_addresses.seed(["192.0.2.2", "192.0.2.1", "192.0.2.2"], NOW)
    assert [row.address for row in source_addresses.listed()] == ["192.0.2.2", "192.0.2.1"]
    source_addresses.replace([], ACTOR, NOW)
    source_addresses.seed(["192.0.2.9"], NOW)
    assert source_addresses.listed() == []


@pytest.mark.django_db(transaction=True)
def test_of_addresses_that_are_announced_at_once_all_are_on_the_list(monkeypatch):
    """Each waits with what it read; read outside of the lock, the last to write would undo the others."""
    read = source_addresses.listed
    monkeypatch.setattr(source_addresses, "listed", lambda: (read(), time.sleep(0.02))[0])
    announced = [f"192.0.2.{number}" for number in range(1, 5)]
    at_once([lambda one=one: source_addresses.announce(one, {"label": one}, ACTOR, NOW) for one in announced])
    assert sorted(row.address for row in read()) == announced


def test_replacing_keeps_the_order_and_the_canonical_form():
    items = [{"address": "2001:DB8::0:1", "label": "Office"}, {"address": "192.0.2.1"}]
    source_addresses.replace(items, ACTOR, NOW)
    source_addresses.replace(items[::-1], ACTOR, later(days=1))
    undated = {"valid_from": None, "valid_until": None, "last_seen_at": None}
    assert source_addresses.resource()["items"] == [
        {"address": "192.0.2.1", "label": "", **undated},
        {"address": "2001:db8::1", "label": "Office", **undated},
    ]
    latest = Version.objects.filter(kind="source_addresses").latest("number")
    assert latest.changes == {"addresses": [["2001:db8::1", "192.0.2.1"], ["192.0.2.1", "2001:db8::1"]]}


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([{"address": "192.0.2.1"}, {"address": "mail.example.org"}], "items[1].address"),
        ([{"address": "192.0.2.0/24"}], "items[0].address"),
        ([{"address": 5}], "items[0].address"),
        ([{}], "items[0].address"),
        (["192.0.2.1"], "items[0]"),
        ([None], "items[0]"),
        ([{"address": "192.0.2.1", "colour": "red"}], "items[0]"),
        ([{"address": "192.0.2.1", "label": "a\nb"}], "items[0].label"),
        ([{"address": "192.0.2.1", "label": ["x"]}], "items[0].label"),
        ([{"address": "192.0.2.1", "valid_from": "1 May"}], "items[0].valid_from"),
        ([{"address": "192.0.2.1", "valid_until": "20261231"}], "items[0].valid_until"),
        (
            [{"address": "192.0.2.1", "valid_from": "2027-01-02", "valid_until": "2027-01-01"}],
            "items[0].valid_until",
        ),
        ([{"address": "192.0.2.1"}, {"address": "192.0.2.1"}], "items[1].address"),
        ([{"address": "2001:db8::1"}, {"address": "2001:DB8:0::1"}], "items[1].address"),
        ([{"address": f"192.0.2.{n}"} for n in range(101)], "items"),
    ],
)
def test_a_list_with_a_fault_is_refused_at_its_entry_and_nothing_changed(items, field):
    source_addresses.replace([{"address": "192.0.2.7"}], ACTOR, NOW)
    with pytest.raises(Refusal) as caught:
        source_addresses.replace(items, ACTOR, NOW)
    assert {fault.field for fault in caught.value.errors} == {field}
    assert [row.address for row in SourceAddress.objects.all()] == ["192.0.2.7"]


# the first administrator


def test_the_first_link_works_once_and_only_the_latest_one():
    old, token = instance.new_setup_token(), instance.new_setup_token()
    assert not instance.setup_token_valid(old)
    assert instance.setup_token_valid(token)
    assert instance.create_first_administrator(old, "a@example.org", "p" * 12, "fr") is None
    user = instance.create_first_administrator(token, "A@Example.ORG", "p" * 12, "fr")
    assert (user.email, user.language, user.is_superuser) == ("A@example.org", "fr", True)
    assert user.check_password("p" * 12)
    assert instance.create_first_administrator(token, "b@example.org", "p" * 12, "fr") is None
    assert instance.new_setup_token() is None
    assert not instance.setup_token_valid("")


@pytest.mark.django_db(transaction=True)
def test_of_several_first_administrators_at_once_one_is_made():
    token = instance.new_setup_token()
    answers = at_once(
        [
            lambda n=n: instance.create_first_administrator(token, f"u{n}@example.org", "p" * 12, "fr")
            for n in range(8)
        ]
    )
    assert sum(isinstance(answer, User) for answer in answers) == 1
    assert sum(answer is None for answer in answers) == 7


# verifications


def keep(draft, connection=None, *, ok=True, now=NOW, seen=None):
    verifications.keep(
        draft.fingerprint,
        connection,
        verifications.Record(ok=ok, findings=[{"code": "x"}], seen_address=seen or ""),
        now,
    )


def test_a_verification_before_an_identical_save_counts_for_an_hour():
    values = {
        "name": "Office",
        "sender_email": "a@example.org",
        "host": "b.example",
        "login": "x",
        "password": "y" * 12,
    }
    keep(connections.draft(values))
    saved = connections.create(values, ACTOR, later(minutes=59))
    assert not saved.unverified
    assert verifications.state_of(saved.connection).state == "verified"
    connections.delete(str(saved.connection.uid), ACTOR, NOW)
    Verification.objects.all().delete()
    keep(connections.draft(values))
    assert connections.create(values, ACTOR, later(minutes=61)).unverified


@pytest.mark.parametrize(
    "change",
    [
        {"host": "c.example"}, {"port": 2525}, {"encryption": "ssl"}, {"login": "z"}, {"password": "z" * 12},
        {"sender_email": "b@example.org"}, {"pinned_certificate": "ab" * 32}, {"source_address": "192.0.2.1"},
    ],
)  # fmt: skip
def test_a_verification_of_other_values_does_not_count(change):
    values = {
        "name": "Office",
        "sender_email": "a@example.org",
        "host": "b.example",
        "login": "x",
        "password": "y" * 12,
    }
    keep(connections.draft(values | change))
    saved = connections.create(values, ACTOR, NOW)
    assert saved.unverified
    assert verifications.state_of(saved.connection).state == "never"


def test_a_verification_is_stale_once_its_settings_change():
    office = with_password()
    keep(saved_draft(office), office)
    assert verifications.state_of(fresh(office)).state == "verified"
    connections.edit(str(office.uid), {"name": "Renamed"}, ACTOR, NOW)
    assert verifications.state_of(fresh(office)).state == "verified"
    assert connections.edit(str(office.uid), {"password": "z" * 12}, ACTOR, NOW).unverified
    told = resources.connection_resource(fresh(office))["verification"]
    assert (told["state"], told["at"], told["findings"]) == ("stale", NOW, [{"code": "x"}])


def test_a_failed_verification_is_told_and_unlocks_nothing():
    office = with_password()
    Connection.objects.update(health="locked", health_why="sign_in_refused")
    keep(saved_draft(office), office, ok=False)
    assert verifications.state_of(fresh(office)).state == "failed"
    assert fresh(office).health == "locked"
    keep(saved_draft(office), office, now=later(minutes=1))
    assert verifications.state_of(fresh(office)).state == "verified"
    assert fresh(office).health == "ready"


def test_a_verification_of_typed_values_does_not_unlock_the_saved_ones():
    office = with_password()
    Connection.objects.update(health="locked", health_why="sign_in_refused")
    keep(connections.draft({"password": "z" * 12}, str(office.uid)), office)
    assert fresh(office).health == "locked"
    assert verifications.state_of(fresh(office)).state == "never"


def test_a_verification_that_ends_after_its_settings_changed_unlocks_nothing():
    office = with_password()
    draft = saved_draft(office)
    connections.edit(str(office.uid), {"password": "z" * 12}, ACTOR, NOW)
    Connection.objects.update(health="locked", health_why="sign_in_refused")
    keep(draft, office)
    assert fresh(office).health == "locked"
    assert verifications.state_of(fresh(office)).state == "never"


@pytest.mark.parametrize("health", ["locked", "throttled"])
def test_a_new_secret_unlocks_and_the_same_one_does_not(health):
    office = with_password()
    until = later(hours=1) if health == "throttled" else None
    Connection.objects.update(health=health, health_why="sign_in_refused", health_until=until)
    connections.edit(str(office.uid), {"password": "hunter2-hunter2"}, ACTOR, NOW)
    assert fresh(office).health == health
    connections.edit(str(office.uid), {"password": "z" * 12}, ACTOR, NOW)
    assert (fresh(office).health, fresh(office).health_until) == ("ready", None)


def test_a_pause_outlasts_a_new_secret_and_a_verification():
    office = with_password()
    connections.pause(str(office.uid), ACTOR, NOW)
    connections.edit(str(office.uid), {"password": "z" * 12}, ACTOR, NOW)
    keep(saved_draft(fresh(office)), office)
    assert fresh(office).health == "paused"
    assert resources.connection_resource(fresh(office))["health"]["why"] == ACTOR


def test_unsaved_verifications_are_forgotten_after_a_day_and_what_servers_saw_is_told():
    draft = connections.draft({"sender_email": "a@example.org", "host": "b.example"})
    keep(draft, seen="192.0.2.1")
    keep(draft, seen="192.0.2.2", now=later(hours=1))
    keep(draft, seen="192.0.2.1", now=later(hours=2))
    assert source_addresses.observed() == ["192.0.2.1", "192.0.2.2"]
    keep(draft, now=later(days=1, minutes=30))
    assert Verification.objects.count() == 3


def test_a_fault_names_its_code():
    with pytest.raises(Refusal) as caught:
        instance.change_settings({"default_mode": "perhaps"}, ACTOR, NOW)
    assert fault_codes(caught.value) == {("default_mode", "mode_unknown")}


# a lock, and who may end it (L7)


def lock_up(office, why="sign_in_refused"):
    Connection.objects.filter(pk=office.pk).update(
        health="locked", health_why=why, health_text="535 5.7.8 no"
    )


@pytest.mark.parametrize("act", [connections.pause, connections.resume])
def test_no_click_ends_a_lock(act):
    office = with_password()
    lock_up(office)
    with pytest.raises(Conflict) as caught:
        act(str(office.uid), ACTOR, NOW)
    assert caught.value.code == "connection_locked"
    assert "535 5.7.8 no" in caught.value.message
    assert (fresh(office).health, fresh(office).health_why) == ("locked", "sign_in_refused")


@pytest.mark.parametrize("changes", [{"sender_email": "other@example.org"}, {"source_address": "127.0.0.9"}])
def test_refused_credentials_stay_locked_whatever_else_changes(changes):
    office = with_password()
    lock_up(office)
    connections.edit(str(office.uid), changes, ACTOR, NOW)
    assert fresh(office).health == "locked"


def test_a_refused_sender_is_tried_again_once_it_is_another():
    office = with_password()
    lock_up(office, why="sender_refused")
    connections.edit(str(office.uid), {"sender_email": "other@example.org"}, ACTOR, NOW)
    assert fresh(office).health == "ready"


@pytest.mark.parametrize(
    ("health", "expected"),
    [("locked", None), ("paused", None), ("ready", NOW), ("throttled", later(minutes=5))],
)
def test_a_waiting_delivery_tells_when_it_may_leave(health, expected):
    office = connect()
    message = post()
    until = later(minutes=5) if health == "throttled" else None
    Connection.objects.update(health=health, health_until=until)
    (delivery,) = messages.deliveries_of(messages.find(str(message.uid)))
    assert messages.next_attempt_of(delivery) == expected
    assert fresh(office).active
