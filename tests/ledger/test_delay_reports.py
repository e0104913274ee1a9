"""Reports of delay (RFC 3464, action `delayed`): for who asked by NOTIFY=DELAY, and for nobody else."""

import email
import email.policy

import pytest

from ledger.kit import (
    NOW,
    accepted,
    claimed,
    codes,
    connect,
    deliveries,
    later,
    lease_of,
    only,
    post,
    report,
    settle,
)
from ledger.test_dsn import fields, notifications, read, words
from vaguemestre.ledger import allowance, delays, dsn, keys
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.resources import message_resource
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState, Health
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.schedule import RetrySchedule

pytestmark = pytest.mark.django_db

LATE, SOON = later(hours=4), later(hours=4, seconds=1)
TRIED = later(hours=4, seconds=-5)
AGAIN = later(hours=7, minutes=51)
BUSY = Reply(451, "4.3.0 Try later")
TROUBLE = {"phase": "data", "cause": "reply", "row": 15, "why": "message_deferred", "facts": {}}


def handed_over(*recipients, notify="DELAY", **values):
    asked = dict.fromkeys(recipients or ("to@example.com",), notify)
    return post(*asked, **{"via": Via.SMTP, "notify": asked, "reverse_path": "app@example.net"} | values)


def deferred(reply=BUSY, office=None, trouble=TROUBLE, **values):
    """A message taken by SMTP that a server put off, and that is late by now."""
    office = office or connect()
    message = handed_over(**values)
    lease, claim = claimed(office, TRIED)
    done = report(claim, DeliveryState.QUEUED, TRIED, reply, trouble=trouble, delay_until=AGAIN)
    settle(lease, done, TRIED)
    assert delays.look(LATE, RetrySchedule()).told == len(deliveries(message))
    return message


def sent():
    assert dsn.send(SOON) == 1
    (made,) = notifications()
    return made


def said_of(recipient, made):
    """The lines that people read of a recipient."""
    _, _, told = words(made).replace("\r\n", "\n").partition(f"    {recipient}\n")
    return [line.strip() for line in told.partition("\n\n")[0].splitlines()]


def test_a_delay_is_reported_to_the_reverse_path_with_the_fields_of_the_rfc():
    message = deferred(
        envid="QQ+2B1", orcpt={"to@example.com": "rfc822;To@example.com"}, subject="Facture 17"
    )
    made = sent()
    assert (made.reverse_path, made.stream.key, only(made).recipient) == (
        "",
        "notifications",
        "app@example.net",
    )
    parsed = read(made)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed["Auto-Submitted"] == "auto-replied"
    of_message, told = fields(made)
    assert of_message["Original-Envelope-Id"] == "QQ+1"
    assert of_message["Reporting-MTA"] == f"dns; {message.received_by}"
    assert told == {
        "Original-Recipient": "rfc822; To@example.com",
        "Final-Recipient": "rfc822; to@example.com",
        "Action": "delayed",
        "Status": "4.3.0",
        "Remote-MTA": "dns; smtp.example.org",
        "Diagnostic-Code": "smtp; 451 4.3.0 Try later",
        "Last-Attempt-Date": "Tue, 24 Nov 2026 15:59:55 +0000",
        "Will-Retry-Until": "Sun, 29 Nov 2026 19:51:00 +0000",  # 5 days after the next try
    }
    assert (codes(only(message))[-2:], only(message).state) == (["delayed", "reported"], "queued")
    assert message_resource(message, SOON)["deliveries"][0]["report"] == str(made.uid)


def test_it_says_why_and_when_it_goes_on_in_the_language_of_the_installation():
    message = deferred(subject="Facture 17")
    made = sent()
    told = words(made).replace("\xa0", " ")
    assert told == (
        "Votre message « Facture 17 », remis le 24 novembre 2026 à 12:00 UTC, n’a pas encore pu être transmis à :"
        "\r\n\r\n"
        "    to@example.com\r\n"
        "    Le serveur demande de réessayer ce message plus tard.\r\n"
        "    Prochain essai le 24 novembre 2026 à 19:51 UTC.\r\n"
        "    Le serveur a dit : « 451 4.3.0 Try later »\r\n"
        "\r\n"
        "Les essais continuent d’eux-mêmes : inutile de renvoyer le message.\r\n"
        "\r\n"
        "Ce compte rendu vient d’un programme. Pour la personne qui le gère : message "
        f"{message.uid}.\r\n"
    )


@pytest.mark.parametrize(
    ("language", "subject"),
    [("en", "Your message is late: Invoice 17"), ("it", "Il tuo messaggio è in ritardo: Invoice 17")],
)
def test_in_other_languages(settings, language, subject):
    settings.LANGUAGE_CODE = language
    deferred(subject="Invoice 17")
    parsed = email.message_from_bytes(content_of(sent()).raw, policy=email.policy.default)
    assert parsed["Subject"] == subject


@pytest.mark.parametrize(
    ("notify", "reported"),
    [
        ("", 0), ("NEVER", 0), ("FAILURE", 0), ("SUCCESS,FAILURE", 0), ("DELAY", 1), ("FAILURE,DELAY", 1),
        ("SUCCESS,FAILURE,DELAY", 1),
    ],
)  # fmt: skip
def test_only_who_asked_for_it_gets_one(notify, reported):
    message = deferred(notify=notify)
    assert dsn.send(SOON) == reported
    assert codes(only(message)).count("delayed") == 1


@pytest.mark.parametrize(
    "values", [{"reverse_path": None}, {"via": Via.API}], ids=["null reverse-path", "API"]
)
def test_nobody_else_gets_one(values):
    deferred(**values)
    assert dsn.send(SOON) == 0


def test_a_key_that_wants_no_reports_gets_none():
    key, _ = keys.create("ERP", ["send"], "test", NOW, dsn=False)
    deferred(submitter=key)
    assert dsn.send(SOON) == 0


def test_it_is_reported_once():
    deferred()
    assert [dsn.send(SOON), dsn.send(SOON)] == [1, 0]
    assert delays.look(SOON, RetrySchedule()).told == 0
    assert dsn.send(later(hours=5)) == 0


def test_a_report_that_is_late_itself_causes_none():
    office = connect()
    deferred(office=office)
    made = sent()
    assert delays.look(later(hours=9), RetrySchedule()).told == 1
    assert codes(only(made))[-1] == "delayed"
    assert dsn.send(later(hours=9)) == 0


def test_of_several_recipients_those_that_asked_are_told():
    office = connect()
    message = post(
        "a@example.com", "b@example.com", "c@example.com",
        via=Via.SMTP, notify={"a@example.com": "DELAY", "b@example.com": "FAILURE", "c@example.com": "DELAY"},
    )  # fmt: skip
    lease_of(office, now=LATE)
    assert delays.look(LATE, RetrySchedule()).told == 3
    assert [told["Final-Recipient"] for told in fields(sent())[1:]] == [
        "rfc822; a@example.com",
        "rfc822; c@example.com",
    ]
    assert [codes(one)[-1] for one in deliveries(message)] == ["reported", "delayed", "reported"]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(451, "4.7.1 Greylisted"), "4.7.1"),
        (Reply(451, "later"), "4.0.0"),
    ],
)
def test_the_status_is_the_server_s_as_of_the_fourth_class(reply, status):
    deferred(reply)
    assert fields(sent())[1]["Status"] == status


def test_a_refusal_of_long_ago_is_not_what_it_waits_for_now():
    office = connect()
    message = handed_over()
    for at, reply, trouble in (
        (later(hours=1), BUSY, TROUBLE),
        (TRIED, None, TROUBLE | {"phase": "connect", "cause": "timeout", "why": "no_answer"}),
    ):
        lease, claim = claimed(office, at)
        settle(lease, report(claim, DeliveryState.QUEUED, at, reply, trouble=trouble, delay_until=TRIED), at)
    assert delays.look(LATE, RetrySchedule()).told == 1
    assert codes(only(message))[-1] == "delayed"
    told = fields(sent())[1]
    assert ("Diagnostic-Code" in told, told["Status"]) == (False, "4.4.1")


ACCOUNT = "Il attend que le compte qui l’envoie soit de nouveau utilisable."


@pytest.mark.parametrize(
    ("health", "status"),
    [
        (HealthState(Health.LOCKED, "sign_in_refused", "535 5.7.8 office: wrong", since=NOW), "4.0.0"),
        (HealthState(Health.PAUSED, "user:claire@example.fr", since=NOW), "4.0.0"),
        (HealthState(Health.THROTTLED, "limit_reached", "452 office: 10", until=AGAIN, since=NOW), "4.0.0"),
        (HealthState(Health.THROTTLED, "no_answer", until=AGAIN, since=NOW), "4.4.1"),
        (HealthState(Health.THROTTLED, "dialogue_broken", until=AGAIN, since=NOW), "4.4.2"),
    ],
)
def test_what_waits_for_its_connection_says_neither_which_nor_who_nor_why_nor_until_when(health, status):
    office = connect()
    handed_over()
    lease_of(office, now=LATE)
    keep_health(office.pk, office.version, health)
    delays.look(LATE, RetrySchedule())
    made = sent()
    assert fields(made)[1] == {
        "Final-Recipient": "rfc822; to@example.com",
        "Action": "delayed",
        "Status": status,
    }
    assert said_of("to@example.com", made) == [ACCOUNT]


def test_what_is_behind_a_limit_or_others_waits_for_its_turn_and_says_of_neither():
    office = connect()
    handed_over("one@example.com")
    handed_over("two@example.com")
    lease_of(office, now=LATE)
    delays.look(LATE, RetrySchedule())
    Connection.objects.update(per_day=1)
    allowance.take(office.pk, {"0" * 32: 1})
    assert dsn.send(SOON) == 2
    for made, recipient in zip(notifications(), ("one@example.com", "two@example.com"), strict=True):
        assert said_of(recipient, made) == ["Il attend son tour."]
        assert fields(made)[1]["Status"] == "4.4.5"


def test_an_answer_about_our_account_is_nobody_else_s():
    trouble = TROUBLE | {"phase": "mail", "row": 11, "why": "sender_refused"}
    deferred(Reply(553, "5.7.1 office@example.org is not yours"), trouble=trouble)
    made = sent()
    told = fields(made)[1]
    assert ("Diagnostic-Code" in told, told["Status"]) == (False, "4.4.5")
    assert said_of("to@example.com", made) == ["Prochain essai le 24 novembre 2026 à 19:51 UTC."]


def test_an_end_that_its_submitter_set_is_the_end():
    deferred(expires_at=later(hours=8))
    assert fields(sent())[1]["Will-Retry-Until"] == "Tue, 24 Nov 2026 20:00:00 +0000"


# What is over before it was reported


def test_a_delay_that_is_over_is_not_reported():
    office = connect()
    message = handed_over()
    lease_of(office, now=LATE)
    delays.look(LATE, RetrySchedule())
    accepted(office, LATE)
    assert dsn.send(SOON) == 1  # its mark is taken off
    assert (notifications(), only(message).dsn_due, codes(only(message))[-1]) == ([], False, "attempt")
    assert dsn.send(SOON) == 0


def test_a_delay_that_became_a_failure_is_reported_as_that():
    office = connect()
    handed_over(notify="FAILURE,DELAY")
    lease_of(office, now=LATE)
    delays.look(LATE, RetrySchedule())
    lease, claim = claimed(office, LATE)
    settle(lease, report(claim, DeliveryState.REFUSED, LATE, Reply(550, "5.1.1 No"), trouble=TROUBLE), LATE)
    assert [told["Action"] for told in fields(sent())[1:]] == ["failed"]


def test_what_ended_while_its_report_was_made_is_reported_as_it_ended():
    office = connect()
    message = handed_over(notify="FAILURE,DELAY")
    lease_of(office, now=LATE)
    delays.look(LATE, RetrySchedule())
    made = [dsn._made(group, SOON) for group in dsn._waiting(20)]
    lease, claim = claimed(office, LATE)
    settle(lease, report(claim, DeliveryState.REFUSED, LATE, Reply(550, "5.1.1 No"), trouble=TROUBLE), LATE)
    assert dsn._kept(made, SOON) == 0
    assert (notifications(), only(message).dsn_due) == ([], True)
    assert [told["Action"] for told in fields(sent())[1:]] == ["failed"]


def test_after_the_delay_the_failure_is_reported_too():
    office = connect()
    message = deferred(notify="FAILURE,DELAY", office=office)
    assert dsn.send(SOON) == 1
    accepted(office, SOON)  # the report
    lease, claim = claimed(office, AGAIN)
    settle(lease, report(claim, DeliveryState.REFUSED, AGAIN, Reply(550, "5.1.1 No"), trouble=TROUBLE), AGAIN)
    assert dsn.send(AGAIN) == 1
    assert [fields(one)[1]["Action"] for one in notifications()] == ["delayed", "failed"]
    assert codes(only(message))[-4:] == ["delayed", "reported", "attempt", "reported"]
