"""Whose turn it is: the urgent before the usual, and that before what can wait, at any depth of the queue."""

from datetime import timedelta

import pytest
from django.db import connection as database

from ledger.kit import ACTOR, NOW, connect, fresh, later, lease_of, on_postgresql, only, post, stand_in
from vaguemestre.ledger import lanes, outlook, queue, rerouting, streams
from vaguemestre.ledger.models import Connection, Delivery
from vaguemestre.policy import turns

pytestmark = pytest.mark.django_db


def taken(lease, limit, now):
    return [claim.message_id for claim in queue.claim(lease, limit, now)]


def test_password_resets_overtake_what_was_accepted_before_them():
    office = connect()
    report, plain, reset = (
        post(now=later(seconds=n), stream=stream).pk
        for n, stream in enumerate(("reports", None, "notifications"))
    )
    assert taken(lease_of(office), 10, later(seconds=9)) == [reset, plain, report]


def test_where_a_quota_leaves_one_the_urgent_one_leaves():
    office = connect(limits={"per_day": 1})
    post(stream="reports")
    reset = post(now=later(seconds=1), stream="notifications").pk
    lease = lease_of(office)
    assert taken(lease, 10, later(seconds=9)) == [reset]
    assert taken(lease, 10, later(seconds=9)) == []


def test_an_urgent_message_that_is_not_due_keeps_nobody_waiting():
    office = connect()
    later_on = post(stream="notifications", send_at=later(hours=1))
    plain = post()
    lease = lease_of(office)
    assert taken(lease, 10, later(seconds=1)) == [plain.pk]
    assert lanes.survey(later(seconds=1), timedelta(hours=2))[0].next_at == only(later_on).next_attempt_at
    assert outlook.of_connection(office, later(seconds=1)).work.next_attempt_at == later(hours=1)


def test_a_stream_that_becomes_urgent_takes_what_waits_along():
    office = connect()
    first = post().pk
    second = post(now=later(seconds=1), stream="support")
    streams.edit("support", {"priority": "urgent"}, ACTOR, NOW)
    assert rerouting.reroute(NOW) == 2
    assert fresh(only(second)).rank == 0
    assert taken(lease_of(office), 10, later(seconds=9)) == [second.pk, first]


def test_how_many_are_ahead_counts_the_more_urgent_ones():
    connect()
    report = post(stream="reports")
    for _ in range(3):
        post(now=later(seconds=1), stream="notifications")
    waiting = only(report)
    assert outlook._ahead([waiting], later(seconds=2))[waiting.connection_id].number == 3


def test_what_a_backup_takes_over_first_is_urgent():
    spare = connect("Spare")
    office = connect("Office", backup=str(spare.uid))
    post(connection="Office", stream="reports")
    reset = post(connection="Office", stream="notifications")
    Connection.objects.filter(pk=office.pk).update(
        health="locked", health_why="sign_in_refused", health_since=NOW
    )
    assert stand_in(NOW, limit=1) == 1
    assert only(reset).connection_id == spare.pk


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_no_claim_sorts_or_reads_the_queue(rank):
    """What is due is read in the index's order: a million rows of another rank, or of later, are not read."""
    office = connect()
    post()
    asked = {"connection": office.pk, "now": NOW, "limit": 10, "rank": rank}
    with database.cursor() as cursor:
        if on_postgresql():
            cursor.execute("SET LOCAL enable_seqscan = off")
            queue.keep_index_order()
            cursor.execute("EXPLAIN " + queue._DUE, asked)
        else:
            cursor.execute("EXPLAIN QUERY PLAN " + queue._DUE, asked)
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "delivery_due" in plan, plan
    assert "Sort" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan


def test_what_can_wait_gets_one_claim_in_ten_while_urgent_mail_never_ends():
    """Forty claims of one delivery each, an urgent one always due: three go to others, in turn."""
    office = connect()
    for _ in range(2):
        post(stream="marketing")
    post()
    for _ in range(40):
        post(now=later(hours=1), stream="notifications")
    lease, now, ranks = lease_of(office), later(hours=2), []
    for claims in range(40):
        (facts,) = lanes.survey(now)
        (claim,) = queue.claim(lease, 1, now, turns.order(claims, facts.late))
        ranks.append(Delivery.objects.get(pk=claim.duties[0].id).rank)
    others = {claims: rank for claims, rank in enumerate(ranks, 1) if rank}
    assert others == {10: 2, 20: 1, 30: 2}


def test_nothing_is_late_before_its_patience_ends():
    connect()
    post(stream="marketing")
    assert lanes.survey(NOW + turns.PATIENCE)[0].late == ()
    assert lanes.survey(NOW + turns.PATIENCE + timedelta(seconds=1))[0].late == (2,)


def test_a_rank_is_kept_with_each_delivery():
    connect()
    ranks = {key: only(post(stream=key)).rank for key in ("notifications", "support", "marketing")}
    assert ranks == {"notifications": 0, "support": 1, "marketing": 2}
    assert Delivery.objects.filter(rank=1).count() == 1


def test_the_rest_of_a_cut_message_is_found_by_the_message():
    office = connect()
    for _ in range(50):
        post()
    asked = {"connection": office.pk, "now": NOW, "limit": 10, "rank": 1, "message": 1}
    with database.cursor() as cursor:
        if on_postgresql():
            cursor.execute("ANALYZE ledger_delivery")  # of a row or two any index is as good
            cursor.execute("SET LOCAL enable_seqscan = off")
            queue.keep_index_order()
        cursor.execute(("EXPLAIN " if on_postgresql() else "EXPLAIN QUERY PLAN ") + queue._REST, asked)
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "message_id" in plan, plan
    assert "delivery_due" not in plan, plan
