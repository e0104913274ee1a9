"""Notifications: one for each message and moment, by the one way in, and never twice."""

import email
import os
import re
import signal
import time
from dataclasses import replace
from email.policy import default

import pytest

from ledger.kit import (
    ACTOR,
    NOW,
    at_once,
    child,
    claimed,
    codes,
    connect,
    content,
    deliveries,
    events,
    later,
    on_postgresql,
    only,
    post,
    report,
    settle,
    sql,
    staged,
)
from vaguemestre.ledger import connections, dsn, rerouting, retention, streams
from vaguemestre.ledger.accept import CHUNK, Via
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.resources import message_resource
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db

NO = Reply(550, "5.1.1 No such user")
TROUBLE = {"phase": "rcpt", "cause": "reply", "row": 14, "why": "recipient_refused", "facts": {}}
SOON = later(seconds=1)


def refused(*recipients, reply=NO, trouble=TROUBLE, state=DeliveryState.REFUSED, office=None, **values):
    """A message taken by SMTP, ended by a courier."""
    office = office or connect()
    message = post(*recipients, **{"via": Via.SMTP} | values)
    lease, claim = staged(office)
    settle(lease, report(claim, state, NOW, reply, trouble=trouble), NOW)
    return message


def notifications():
    return list(Message.objects.filter(via="report").order_by("pk"))


def sent(now=SOON):
    """The one notification that is made now."""
    assert dsn.send(now) == 1
    (made,) = notifications()
    return made


def read(message, **policy):
    return email.message_from_bytes(content_of(message).raw, **policy)


def words(message):
    return read(message).get_payload(0).get_payload(decode=True).decode()


def fields(message):
    return [
        {name: re.sub(r"\r?\n(?=[ \t])", "", value) for name, value in block.items()}
        for block in read(message).get_payload(1).get_payload()
        if block.items()
    ]


def test_a_refusal_is_reported_to_the_reverse_path_through_the_notifications():
    message = refused("nobody@example.com", reverse_path="app@example.net", subject="Facture 17")
    made = sent()
    assert (made.reverse_path, made.stream.key, made.submitter) == ("", "notifications", None)
    delivery = only(made)
    assert (delivery.recipient, delivery.state) == ("app@example.net", "queued")
    assert delivery.route["reverse_path"] is None
    parsed = read(made)
    assert parsed["To"] == "app@example.net"
    assert parsed["From"] == "office@example.org"
    assert parsed["Auto-Submitted"] == "auto-replied"
    of_message, of_recipient = fields(made)
    assert of_message["Reporting-MTA"] == f"dns; {message.received_by}"
    assert of_recipient == {
        "Final-Recipient": "rfc822; nobody@example.com",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; smtp.example.org",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
        "Last-Attempt-Date": "Tue, 24 Nov 2026 12:00:00 +0000",
    }
    assert b"Subject: Facture 17" in content_of(made).raw
    assert b"hello" not in content_of(made).raw


def test_it_tells_whose_words_and_the_remedy_in_the_language_of_the_installation():
    message = refused("nobody@example.com", subject="Facture 17")
    told = words(sent()).replace("\xa0", " ")
    assert told == (
        "Votre message « Facture 17 », remis le 24 novembre 2026 à 12:00 UTC, n’a pas pu être transmis à :\r\n"
        "\r\n"
        "    nobody@example.com\r\n"
        "    Le serveur refuse ce destinataire.\r\n"
        "    Le serveur a dit : « 550 5.1.1 No such user »\r\n"
        "    Vérifiez l’adresse, ou joignez le destinataire autrement.\r\n"
        "\r\n"
        "Plus aucun essai ne suivra pour ces adresses.\r\n"
        "\r\n"
        "Ce compte rendu vient d’un programme. Pour la personne qui le gère : message "
        f"{message.uid}.\r\n"
    )


def test_what_has_no_subject_is_called_so():
    refused("nobody@example.com", subject=" ")
    made = sent()
    assert str(read(made, policy=default)["Subject"]).endswith("\xa0: (sans objet)")
    assert words(made).startswith("Votre message «\xa0(sans objet)\xa0», remis le 24 novembre 2026")


def test_in_english_where_that_is_the_language(settings):
    settings.LANGUAGE_CODE = "en"
    refused("nobody@example.com", subject="Invoice 17")
    made = sent()
    assert read(made)["Subject"] == "Your message did not get through: Invoice 17"
    assert "    The server said: “550 5.1.1 No such user”\r\n" in words(made)


def test_in_italian_where_that_is_the_language(settings):
    settings.LANGUAGE_CODE = "it"
    refused("nobody@example.com", subject="Fattura 17")
    told = words(sent())
    assert told.startswith(
        "Il tuo messaggio «Fattura 17», affidato il 24 novembre 2026 alle 12:00 UTC, non si è potuto"
    )
    assert "    Il server ha detto: «550 5.1.1 No such user»\r\n" in told


def test_what_was_given_up_has_the_status_of_an_expiry():
    refused(
        state=DeliveryState.EXPIRED, reply=Reply(450, "busy"), trouble=TROUBLE | {"why": "recipient_deferred"}
    )
    made = sent()
    assert fields(made)[1]["Status"] == "5.4.7"
    assert "L’envoi a été abandonné" in words(made)


def test_what_was_given_up_while_our_account_was_kept_out_quotes_no_answer_to_our_sign_in():
    office = connect()
    message = post(via=Via.SMTP, expires_at=later(minutes=1))
    lease, claim = claimed(office)
    trouble = {"phase": "auth", "cause": "reply", "row": 8, "why": "sign_in_refused", "facts": {}}
    wrong = Reply(535, "5.7.8 office@example.org: wrong password")
    settle(lease, report(claim, DeliveryState.QUEUED, NOW, wrong, trouble=trouble, delay_until=NOW), NOW)
    rerouting.expire(later(minutes=2))
    made = sent(later(minutes=3))
    told = fields(made)[1]
    assert (only(message).last_code, told["Status"], "Diagnostic-Code" in told) == (535, "5.4.7", False)
    assert "535" not in words(made)


def test_what_was_refused_without_asking_has_no_words_of_a_server():
    refused(
        reply=None, trouble={"phase": "mail", "cause": "too_large", "row": 9, "why": "too_large", "facts": {}}
    )
    made = sent()
    told = fields(made)[1]
    assert (told["Status"], "Diagnostic-Code" in told, "Remote-MTA" in told) == ("5.3.4", False, False)


def test_recipients_that_end_within_the_same_moment_share_one_notification():
    message = refused("one@example.com", "two@example.com")
    made = sent()
    assert [told["Final-Recipient"] for told in fields(made)[1:]] == [
        "rfc822; one@example.com",
        "rfc822; two@example.com",
    ]
    for delivery in deliveries(message):
        assert codes(delivery)[-1] == "reported"


def test_two_messages_have_a_notification_each():
    office = connect()
    for subject in ("One", "Two"):
        refused(subject=subject, office=office)
    assert dsn.send(SOON) == 2
    assert [made.metadata for made in notifications()] == [
        {"reports_on": str(message.uid)} for message in Message.objects.filter(via="smtp").order_by("pk")
    ]


def test_the_message_and_its_notification_name_each_other():
    message = refused()
    made = sent()
    event = events(only(message))[-1]
    assert (event.detail, event.at, event.state) == (
        {"code": "reported", "message": str(made.uid)},
        SOON,
        "refused",
    )
    assert dsn.about(made) == str(message.uid)
    assert dsn.about(message) == ""
    assert message_resource(message, SOON)["deliveries"][0]["report"] == str(made.uid)
    assert message_resource(made, SOON)["deliveries"][0]["report"] is None


def test_nothing_is_reported_twice():
    message = refused()
    assert dsn.send(SOON) == 1
    assert dsn.send(SOON) == 0
    assert len(notifications()) == 1
    assert not only(message).dsn_due


def test_a_notification_causes_none():
    office = connect()
    refused(office=office)
    made = sent()
    lease, claim = staged(office, SOON)
    settle(lease, report(claim, DeliveryState.REFUSED, SOON, NO, trouble=TROUBLE), SOON)
    assert only(made).state == "refused"
    assert dsn.send(later(seconds=2)) == 0


def test_without_a_route_it_is_held_like_any_message():
    office = connect()
    refused(office=office)
    connections.deactivate(str(office.uid), ACTOR, NOW)
    made = sent()
    assert only(made).state == "held"
    assert read(made)["From"] is None


def test_it_leaves_by_the_connection_that_was_tried_where_several_are_active():
    shop = connect("Shop")
    connect("Billing")
    refused(office=shop, from_="shop@example.org")
    delivery = only(sent())
    assert (delivery.state, delivery.connection_id) == ("queued", shop.pk)


def test_what_was_never_tried_has_no_attempt_and_no_server():
    message = post(via=Via.SMTP, expires_at=later(minutes=1))
    rerouting.expire(later(minutes=2))
    told = fields(sent(later(minutes=3)))[1]
    assert told == {"Final-Recipient": "rfc822; to@example.com", "Action": "failed", "Status": "5.4.7"}
    assert only(message).state == "expired"


def test_an_acceptance_that_was_to_be_reported_is_relayed():
    office = connect()
    post(
        via=Via.SMTP,
        notify={"to@example.com": "SUCCESS,FAILURE"},
        orcpt={"to@example.com": "rfc822;To@example.com"},
        envid="QQ+2B1",
        ret="FULL",
    )
    lease, claim = staged(office)
    settle(lease, report(claim, DeliveryState.ACCEPTED, NOW, Reply(250, "2.1.5 Ok")), NOW)
    made = sent()
    of_message, told = fields(made)
    assert of_message["Original-Envelope-Id"] == "QQ+1"
    assert (told["Original-Recipient"], told["Action"], told["Status"]) == (
        "rfc822; To@example.com",
        "relayed",
        "2.1.5",
    )
    assert b"hello" not in content_of(made).raw  # FULL is of failures alone


@pytest.mark.parametrize(("ret", "kind"), [("", "text/rfc822-headers"), ("HDRS", "text/rfc822-headers"), ("FULL", "message/rfc822")])  # fmt: skip
def test_ret_says_what_of_the_message_is_returned(ret, kind):
    refused(ret=ret)
    assert read(sent()).get_payload(2).get_content_type() == kind


@pytest.mark.parametrize(
    ("size", "kind"), [(CHUNK - 200, "message/rfc822"), (CHUNK + 1, "text/rfc822-headers")]
)
def test_a_large_message_is_not_returned_as_a_whole(size, kind):
    refused(ret="FULL", content=content(body="x" * 60 + ("\r\n" + "y" * 62) * (size // 64)))
    assert read(sent()).get_payload(2).get_content_type() == kind


def test_a_stream_that_keeps_its_contents_from_being_read_has_them_not_returned():
    streams.edit("invoices", {"redact": True}, ACTOR, NOW)
    refused(ret="FULL", stream="invoices")
    assert read(sent()).get_payload(2).get_content_type() == "text/rfc822-headers"


def test_without_its_content_a_message_is_reported_all_the_same():
    message = refused()
    Message.objects.filter(pk=message.pk).update(accepted_at=later(days=-31))
    retention.sweep(NOW)
    assert len(read(sent()).get_payload()) == 2


def test_a_notification_that_cannot_be_made_is_told_and_keeps_no_other_from_being_made(settings):
    office = connect()
    first = refused(office=office, content=content(subject="x" * 900))
    second = refused("a@example.com", office=office)
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, max_message_bytes=2_000)
    assert dsn.send(SOON) == 2
    assert codes(only(first))[-1] == "unreported"
    assert codes(only(second))[-1] == "reported"
    assert len(notifications()) == 1
    assert dsn.send(SOON) == 0


def test_a_batch_is_of_so_many_messages():
    office = connect()
    for _ in range(3):
        refused(office=office)
    assert [dsn.send(SOON, 2), dsn.send(SOON, 2), dsn.send(SOON, 2)] == [2, 1, 0]
    assert len(notifications()) == 3


def test_what_is_due_is_found_by_its_own_index():
    if on_postgresql():
        sql("SET LOCAL enable_seqscan = off")
    due = dsn._due()
    messages = due.order_by("message_id").values_list("message_id").distinct()
    for query in (due, messages, due.filter(message__in=[1])):
        plan = str(sql(f"EXPLAIN {'' if on_postgresql() else 'QUERY PLAN'} {query.query}"))
        assert "delivery_dsn_due" in plan, plan


@pytest.mark.django_db(transaction=True)
def test_two_couriers_at_once_make_one():
    refused("one@example.com", "two@example.com")
    at_once([lambda: dsn.send(SOON)] * 4)
    assert len(notifications()) == 1


@pytest.mark.django_db(transaction=True)
def test_one_that_is_killed_in_between_leaves_it_to_the_next():
    message = refused()
    dying = child("""
from django.db import connection
from vaguemestre.ledger import dsn

def pause(execute, sql, *more):
    if sql.startswith("UPDATE") and "dsn_due" in sql:
        print("the notification is made, the mark still there", flush=True)
        sys.stdin.read()
    return execute(sql, *more)

with connection.execute_wrapper(pause):
    dsn.send(NOW + timedelta(seconds=1))
""")
    assert dying.stdout.readline() == "the notification is made, the mark still there\n"
    os.kill(dying.pid, signal.SIGKILL)
    dying.communicate()
    assert (notifications(), only(message).dsn_due) == ([], True)
    deadline = time.monotonic() + 5
    while dsn.send(SOON) == 0 or not notifications():  # a server's locks outlive its client by a moment
        assert time.monotonic() < deadline
    assert len(notifications()) == 1
    assert codes(only(message))[-1] == "reported"
    assert dsn.send(SOON) == 0
