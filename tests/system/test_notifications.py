"""What an application hands over by SMTP and a server refuses comes back to it, whatever is killed meanwhile."""

import contextlib
import smtplib
import time
from email import message_from_bytes

from scripted.sink import Answer, SinkServer
from system.databases import sqlite_first
from system.product import Product, until

COUNT = 40
LETTER = "From: app@example.net\r\nSubject: Facture {n}\r\nMessage-ID: <{n}@example.net>\r\n\r\nGood day\r\n"


def unknown(moment):
    return Answer("550 5.1.1 No such user here") if "nobody" in moment.argument else None


@contextlib.contextmanager
def door_of(product):
    """A session with the listener, signed in."""
    with smtplib.SMTP("127.0.0.1", product.submission_port) as door:
        door.login("app", product.key)
        yield door


def hand_over(product, numbers):
    with door_of(product) as door:
        for n in numbers:
            door.sendmail("app@example.net", [f"nobody{n}@example.com"], LETTER.format(n=n))


def about(taken):
    """The Message-ID that a report is about."""
    return message_from_bytes(taken.content)["References"]


def test_the_parameters_of_dsn_come_back_as_they_were_given(product):
    with SinkServer(hooks={"rcpt": unknown}).in_thread() as sink, door_of(product) as door:
        product.api.connect(sink)
        for n, notify in enumerate(("NEVER", "SUCCESS", "FAILURE,DELAY")):
            door.sendmail(
                "app@example.net",
                [f"nobody{n}@example.com"],
                LETTER.format(n=n),
                mail_options=["RET=FULL", f"ENVID=Q+2B{n}"],
                rcpt_options=[f"NOTIFY={notify}", "ORCPT=rfc822;No+2BBody@example.com"],
            )
        until(lambda: sink.accepted, 30)
        time.sleep(1.5)  # the others would come by then
        (taken,) = sink.accepted
    parts = message_from_bytes(taken.content).get_payload()
    of_message, of_recipient = parts[1].get_payload()[:2]
    assert of_message["Original-Envelope-Id"] == "Q+2"
    assert of_recipient["Original-Recipient"] == "rfc822; No+Body@example.com"
    assert of_recipient["Final-Recipient"] == "rfc822; nobody2@example.com"
    assert of_recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user here"
    assert parts[2].get_payload(0).get_payload() == "Good day\r\n"


@sqlite_first
def test_each_refusal_comes_back_once_though_the_courier_is_killed(database):
    with SinkServer(hooks={"rcpt": unknown}).in_thread() as sink, Product(database=database) as product:
        product.api.connect(sink)
        hand_over(product, range(COUNT // 2))
        for _ in range(4):
            time.sleep(0.7)
            product.kill("courier")
        hand_over(product, range(COUNT // 2, COUNT))
        until(lambda: len(product.rows("SELECT 1 FROM ledger_message WHERE via = 'report'")) >= COUNT, 60)
        time.sleep(2.5)  # a second one for any of them would be made by then
        made = product.rows("SELECT uid FROM ledger_message WHERE via = 'report'")
        assert len(made) == COUNT
        # What two couriers had in their hands when they died waits a minute, more or less.
        until(
            lambda: {about(one) for one in sink.accepted} == {f"<{n}@example.net>" for n in range(COUNT)}, 90
        )
        assert {one.recipients for one in sink.accepted} == {("app@example.net",)}
        assert {one.mail for one in sink.accepted} == {""}
        told = product.api.get("/messages?search=Facture 7".replace(" ", "%20"))["items"]
        refused = product.message(next(one["id"] for one in told if one["via"] == "smtp"))
        report = product.message(refused["deliveries"][0]["report"])
        assert (report["via"], report["stream"], report["metadata"]) == (
            "report",
            "notifications",
            {"reports_on": refused["id"]},
        )
        assert sink.faults == []
