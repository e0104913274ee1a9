"""What waits for the disk and what does not (L5, L6): a claim does not, and leaves the connection as it was."""

import sqlite3

import pytest
from django.db import DatabaseError
from django.db import connection as database

from ledger.kit import NOW, claimed, connect, lease_of, on_postgresql, post, sql, stage
from vaguemestre.ledger import queue
from vaguemestre.ledger.database import durability_problems, provisional, writing
from vaguemestre.ledger.models import Lane

pytestmark = pytest.mark.django_db(transaction=True)

DURABLE, AT_ONCE = ("on", "off") if on_postgresql() else (2, 1)


def durability():
    ((found,),) = sql("SHOW synchronous_commit" if on_postgresql() else "PRAGMA synchronous")
    return found


NOTE = (
    """CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO durabilities VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$""",
    "CREATE TRIGGER noted AFTER UPDATE ON ledger_delivery FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.note()",
) if on_postgresql() else (
    """CREATE TEMP TRIGGER noted AFTER UPDATE ON ledger_delivery BEGIN
    INSERT INTO durabilities SELECT synchronous FROM pragma_synchronous; END""",
)  # fmt: skip
FORGET = (
    "DROP TRIGGER noted ON ledger_delivery", "DROP FUNCTION pg_temp.note()",
) if on_postgresql() else ("DROP TRIGGER noted",)  # fmt: skip


@pytest.fixture
def durabilities(transactional_db):
    """What was in force whenever a delivery was written, as the database itself notes it."""
    for statement in ("CREATE TEMP TABLE durabilities (found TEXT)", *NOTE):
        sql(statement)
    yield lambda: [found for (found,) in sql("SELECT found FROM durabilities")]
    for statement in (*FORGET, "DROP TABLE durabilities"):
        sql(statement)


def test_a_claim_waits_for_no_disk_and_the_stage_behind_it_does(durabilities):
    office = connect()
    post()
    lease, claim = claimed(office)
    stage(lease, claim, NOW)
    assert durabilities() == [str(AT_ONCE), str(DURABLE)]
    assert durability_problems() == []


def test_a_claim_that_fails_leaves_commits_durable():
    office = connect()
    post()
    lease = lease_of(office)
    Lane.objects.update(epoch=99)
    with pytest.raises(queue.Stale):
        queue.claim(lease, 10, NOW)
    assert durability() == DURABLE


def test_within_a_durable_transaction_a_provisional_one_is_durable():
    with writing(), provisional():
        assert durability() == DURABLE


@pytest.mark.skipif(on_postgresql(), reason="there it ends with the transaction")
def test_a_connection_that_cannot_be_made_durable_again_is_closed():
    def refuse(action, name, value, *where):
        denied = action == sqlite3.SQLITE_PRAGMA and (name, value) == ("synchronous", "FULL")
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    database.ensure_connection()
    database.connection.set_authorizer(refuse)
    with pytest.raises(DatabaseError, match="not authorized"), provisional():
        assert durability() == AT_ONCE
    assert database.connection is None
    assert durability() == DURABLE
