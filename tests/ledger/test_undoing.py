"""A change of the default sender is undone for a day, unless things changed meanwhile."""

from datetime import timedelta

import pytest

from ledger.kit import ACTOR, NOW, connect, fresh, later
from vaguemestre.ledger import connections, undoing
from vaguemestre.ledger.connections import LeaveNone, Promote
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Conflict

pytestmark = pytest.mark.django_db

HOUR = later(hours=1)


def default():
    return Connection.objects.filter(is_default=True).first()


def pair():
    """First was the default, Second is."""
    first, second = connect("First", is_default=True), connect("Second")
    connections.make_default(str(second.uid), ACTOR, NOW)
    return first, second


def refused(now=HOUR):
    with pytest.raises(Conflict) as caught:
        undoing.undo(ACTOR, now)
    return caught.value.code


def test_one_act_gives_the_role_back_and_says_whom_it_demoted():
    first, second = pair()
    saved = undoing.undo(ACTOR, HOUR)
    assert (saved.connection, saved.demoted) == (first, (second,))
    assert default() == first
    assert fresh(second).active
    assert undoing.undoable(HOUR) is None
    assert refused() == "undo_nothing"


def test_where_nobody_was_the_default_nobody_is_it_again():
    office = connect()
    connections.make_default(str(office.uid), ACTOR, NOW)
    undoing.undo(ACTOR, HOUR)
    assert default() is None
    assert fresh(office).active


def test_a_default_that_was_given_up_is_the_default_again():
    first = connect("First", is_default=True)
    connections.edit(str(first.uid), {"is_default": False}, ACTOR, NOW)
    undoing.undo(ACTOR, HOUR)
    assert default() == first


@pytest.mark.parametrize("heir", [True, False])
def test_a_default_that_was_deactivated_for_another_is_active_and_the_default_again(heir):
    first, second = connect("First", is_default=True), connect("Second")
    successor = Promote(str(second.uid)) if heir else LeaveNone()
    connections.deactivate(str(first.uid), ACTOR, NOW, successor)
    undoing.undo(ACTOR, HOUR)
    assert default() == first


def test_who_changed_it_until_when_it_can_be_undone():
    first, second = pair()
    found = undoing.undoable(HOUR)
    assert (found.previous, found.chosen, found.actor) == (first, second, ACTOR)
    assert (found.at, found.until, found.refusal) == (NOW, later(hours=24), None)


def test_a_day_later_it_is_too_late():
    pair()
    over = NOW + timedelta(hours=24, seconds=1)
    assert undoing.undoable(over) is None
    assert refused(over) == "undo_late"
    undoing.undo(ACTOR, NOW + timedelta(hours=24))


def test_a_previous_default_that_was_deleted_cannot_come_back():
    first, second = pair()
    connections.delete(str(first.uid), ACTOR, NOW)
    assert refused() == "undo_gone"
    assert undoing.undoable(HOUR).refusal.code == "undo_gone"
    assert default() == second


def test_a_previous_default_that_was_deactivated_since_does_not_come_back_by_itself():
    first, second = pair()
    connections.deactivate(str(first.uid), ACTOR, HOUR)
    assert refused(later(hours=2)) == "undo_inactive"
    assert default() == second


def test_a_previous_default_that_sends_as_somebody_else_since_is_looked_at_first():
    first, _ = pair()
    connections.edit(str(first.uid), {"sender_email": "other@example.org"}, ACTOR, HOUR)
    assert refused(later(hours=2)) == "undo_changed"


def test_other_changes_of_it_do_not_matter():
    first, _ = pair()
    connections.edit(str(first.uid), {"port": 465, "encryption": "ssl"}, ACTOR, HOUR)
    undoing.undo(ACTOR, later(hours=2))
    assert default() == first


def test_the_last_change_is_the_one_that_is_undone():
    _, second = pair()
    third = connect("Third", is_default=True)
    assert default() == third
    undoing.undo(ACTOR, HOUR)
    assert default() == second


def test_without_any_change_there_is_nothing_to_undo():
    connect()
    assert undoing.undoable(NOW) is None
    assert refused() == "undo_nothing"
