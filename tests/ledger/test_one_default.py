"""L1: at most one default, always; who was demoted is said, who follows is asked."""

import threading

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.db import connections as databases

from ledger.kit import ACTOR, NOW, at_once, connect, defaults, epoch, fault_codes, fresh, sql
from vaguemestre.ledger import connections, resources
from vaguemestre.ledger.connections import LeaveNone, Promote
from vaguemestre.ledger.models import Connection, Stream, Version
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal

pytestmark = pytest.mark.django_db


@pytest.fixture
def two():
    return connect("Old", is_default=True), connect("New")


def test_the_database_itself_refuses_a_second_default(two):
    _, new = two
    with pytest.raises(IntegrityError), transaction.atomic():
        sql("UPDATE ledger_connection SET is_default = true WHERE id = %s", new.pk)
    assert defaults() == ["Old"]


def test_the_database_itself_refuses_an_inactive_default(two):
    old, _ = two
    with pytest.raises(IntegrityError), transaction.atomic():
        sql("UPDATE ledger_connection SET active = false WHERE id = %s", old.pk)
    assert defaults() == ["Old"]


def test_the_database_itself_refuses_a_deleted_connection_that_is_active(two):
    _, new = two
    with pytest.raises(IntegrityError), transaction.atomic():
        sql("UPDATE ledger_connection SET deleted_at = created_at WHERE id = %s", new.pk)
    assert fresh(new).active


@pytest.mark.parametrize("how", ["create", "edit", "make_default"])
def test_a_second_default_demotes_the_first_and_says_so(how, two):
    old, new = two
    if how == "create":
        values = {"name": "Third", "sender_email": "a@example.org", "host": "b.example", "is_default": True}
        saved = connections.create(values, ACTOR, NOW)
    elif how == "edit":
        saved = connections.edit(str(new.uid), {"is_default": True, "reply_to": "r@example.org"}, ACTOR, NOW)
    else:
        saved = connections.make_default(str(new.uid), ACTOR, NOW)
    assert [demoted.name for demoted in saved.demoted] == ["Old"]
    assert defaults() == [saved.connection.name]
    assert fresh(old).active
    assert not fresh(old).is_default
    assert Version.objects.get(subject=str(old.uid), action="demoted").changes == {
        "is_default": [True, False]
    }


def test_making_the_default_the_default_again_changes_nothing(two):
    old, _ = two
    before = epoch(), Version.objects.count()
    saved = connections.make_default(str(old.uid), ACTOR, NOW)
    assert saved.demoted == ()
    assert (epoch(), Version.objects.count()) == before
    assert defaults() == ["Old"]


@pytest.mark.parametrize("act", [connections.deactivate, connections.delete])
def test_the_default_does_not_go_without_a_choice(act, two):
    old, _ = two
    before = epoch(), Version.objects.count()
    with pytest.raises(Conflict) as caught:
        act(str(old.uid), ACTOR, NOW)
    assert caught.value.code == "successor_needed"
    assert caught.value.facts == {"connection": "Old"}
    assert defaults() == ["Old"]
    assert fresh(old).active
    assert fresh(old).deleted_at is None
    assert (epoch(), Version.objects.count()) == before


@pytest.mark.parametrize("act", [connections.deactivate, connections.delete])
def test_the_default_goes_and_nobody_follows_where_that_was_said(act, two):
    old, new = two
    act(str(old.uid), ACTOR, NOW, LeaveNone())
    assert defaults() == []
    assert not fresh(old).active
    assert fresh(new).active


@pytest.mark.parametrize("act", [connections.deactivate, connections.delete])
def test_the_default_goes_and_the_named_one_follows(act, two):
    old, new = two
    act(str(old.uid), ACTOR, NOW, Promote(str(new.uid)))
    assert defaults() == ["New"]
    assert not fresh(old).active
    assert Version.objects.get(subject=str(new.uid), action="promoted").actor == ACTOR


@pytest.mark.parametrize("heir", ["itself", "inactive", "unknown"])
def test_an_impossible_successor_is_refused_at_its_field_and_nothing_changed(heir, two):
    old, new = two
    connections.deactivate(str(new.uid), ACTOR, NOW)
    before = epoch(), Version.objects.count()
    uid = {"itself": str(old.uid), "inactive": str(new.uid), "unknown": "nobody"}[heir]
    with pytest.raises(Refusal) as caught:
        connections.deactivate(str(old.uid), ACTOR, NOW, Promote(uid))
    assert {field for field, _ in fault_codes(caught.value)} == {"successor"}
    assert defaults() == ["Old"]
    assert (epoch(), Version.objects.count()) == before


def test_unticking_the_default_is_itself_the_choice_of_nobody(two):
    old, _ = two
    connections.edit(str(old.uid), {"is_default": False}, ACTOR, NOW)
    assert defaults() == []
    assert fresh(old).active


def test_unticking_the_default_may_name_who_follows(two):
    old, new = two
    connections.edit(str(old.uid), {"is_default": False}, ACTOR, NOW, Promote(str(new.uid)))
    assert defaults() == ["New"]


def test_unticking_one_that_is_not_the_default_changes_nothing(two):
    _, new = two
    before = epoch()
    connections.edit(str(new.uid), {"is_default": False}, ACTOR, NOW)
    assert defaults() == ["Old"]
    assert epoch() == before


@pytest.mark.parametrize("values", [{"active": False, "is_default": True}, {"is_default": True}])
def test_a_default_that_is_not_active_is_refused_at_the_field(values, two):
    _, new = two
    connections.deactivate(str(new.uid), ACTOR, NOW)
    with pytest.raises(Refusal) as caught:
        connections.edit(str(new.uid), values, ACTOR, NOW)
    assert fault_codes(caught.value) == {("is_default", "default_inactive")}
    assert defaults() == ["Old"]


def test_a_new_connection_that_is_default_and_inactive_is_refused_at_the_field():
    with pytest.raises(Refusal) as caught:
        connect("Office", active=False, is_default=True)
    assert fault_codes(caught.value) == {("is_default", "default_inactive")}
    assert not Connection.objects.exists()


def test_a_first_connection_is_active_and_not_the_default():
    first = connect("First")
    assert (first.active, first.is_default) == (True, False)


def test_deleting_destroys_the_secret_and_keeps_the_row_and_frees_the_name():
    office = connect("Office", login="office", password="hunter2-hunter2")
    connections.delete(str(office.uid), ACTOR, NOW)
    assert not connections.vault_has(fresh(office))
    with pytest.raises(Missing):
        connections.find("Office")
    assert connect("OFFICE").pk != office.pk
    assert [one.name for one in connections.all_connections()] == ["OFFICE"]


def test_deleting_a_connection_that_streams_name_is_a_conflict():
    office = connect("Office")
    Stream.objects.filter(key="reports").update(connection=office)
    with pytest.raises(Conflict) as caught:
        connections.delete(str(office.uid), ACTOR, NOW)
    assert caught.value.code == "connection_in_use"
    assert caught.value.facts["streams"] == "reports"
    assert fresh(office).deleted_at is None


def test_deleting_a_backup_leaves_its_principal_without_one():
    spare = connect("Spare")
    office = connect("Office", backup=str(spare.uid))
    connections.delete(str(spare.uid), ACTOR, NOW)
    assert fresh(office).backup is None
    assert resources.connection_resource(fresh(office))["backup"] is None


@pytest.mark.django_db(transaction=True)
def test_i12_a_hundred_make_default_at_once_leave_exactly_one_at_every_read():
    rivals = [connect(f"Rival{number}", is_default=number == 0) for number in range(20)]
    seen, over = [], threading.Event()

    def poll():
        try:
            while not over.is_set():
                seen.append(Connection.objects.filter(is_default=True).count())
        finally:
            databases.close_all()

    reader = threading.Thread(target=poll)
    reader.start()
    jobs = [lambda uid=str(rivals[n % 20].uid): connections.make_default(uid, ACTOR, NOW) for n in range(100)]
    answers = at_once(jobs)
    over.set()
    reader.join()
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert set(seen) == {1}
    assert len(seen) > 20
    assert len(defaults()) == 1
    assert sum(len(answer.demoted) for answer in answers) == sum(bool(answer.demoted) for answer in answers)


@pytest.mark.django_db(transaction=True)
def test_a_default_that_is_deactivated_while_others_become_it_is_never_left_broken():
    rivals = [connect(f"Rival{number}", is_default=number == 0) for number in range(6)]
    jobs = []
    for number in range(48):
        uid = str(rivals[number % 6].uid)
        act = (connections.make_default, connections.deactivate, connections.activate)[number % 3]
        jobs.append(lambda act=act, uid=uid: act(uid, ACTOR, NOW))
    answers = at_once(jobs)
    odd = [one for one in answers if isinstance(one, Exception) and not isinstance(one, Refusal | Conflict)]
    assert odd == []
    assert not any(isinstance(answer, DatabaseError) for answer in answers)
    assert len(defaults()) <= 1
    assert not Connection.objects.filter(is_default=True, active=False).exists()
