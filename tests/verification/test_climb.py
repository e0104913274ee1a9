"""What a verification asks beyond a delivery's session: the reader's own address, the other address family."""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import replace

import pytest

from scripted.client import PASSWORD, loopback_network
from scripted.ports import black_hole
from scripted.server import ScriptedServer
from scripted.sink import SinkServer
from vaguemestre.egress import Guard, parse_networks
from vaguemestre.ledger.days import day_text
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.smtp.network import Network
from vaguemestre.verification import climb
from vaguemestre.verification.probe import verify
from vaguemestre.verification.wording import step_detail, step_failed, step_text
from verification.trial import GREETED, NOW, draft_to, outcome, played

pytestmark = pytest.mark.django_db

ME = Mailbox.parse("me@example.org")
PIPELINED = f"{GREETED}\n" + r"S- 250-mx.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


def asked(draft, network, recipient=ME):
    *steps, found = verify(draft, NOW, network=network, recipient=recipient)
    return [f"{step.phase} {'' if step.reply is None else step.reply.code}".strip() for step in steps], found


# The reader's own address


@pytest.mark.parametrize("welcome", [PIPELINED, PIPELINED.replace(r"250-PIPELINING\r\n", "")])
def test_the_readers_own_address_is_asked_for_and_no_mail_is_sent(network, welcome):
    script = (
        f"{welcome}\nC: MAIL FROM:<sender@example.org>\nS: 250 ok\n"
        "C: RCPT TO:<me@example.org>\nS: 250 ok\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye"
    )
    with played(ScriptedServer(script)) as server:
        steps, found = asked(draft_to(server), network)
    assert steps[-4:] == ["mail 250", "rcpt 250", "rset 250", "quit 221"]
    assert found.ok


def test_sender_recipient_and_end_leave_in_one_write_where_the_server_takes_that(network):
    script = (
        f"{PIPELINED}\nC: MAIL FROM:<sender@example.org>\nC: RCPT TO:<me@example.org>\nC: RSET\n"
        "S: 250 ok\nS: 250 ok\nS: 250 ok\nC: QUIT\nS: 221 bye"
    )
    with played(ScriptedServer(script)) as server:
        assert asked(draft_to(server), network)[1].ok


def test_a_refused_sender_is_the_finding_though_more_was_asked(network):
    script = (
        f"{PIPELINED}\nC: MAIL FROM:<sender@example.org>\nC: RCPT TO:<me@example.org>\nC: RSET\n"
        "S: 550 5.1.8 no\nS: 503 5.5.1 need MAIL\nS: 250 ok\nC: QUIT\nS: 221 bye"
    )
    with played(ScriptedServer(script)) as server:
        steps, found = asked(draft_to(server), network)
    assert steps[-1] == "mail 550"
    assert [finding.code for finding in found.findings] == ["sender_refused"]


def test_a_recipient_that_is_refused_is_a_warning_and_the_connection_works(network):
    script = (
        f"{PIPELINED}\nC: MAIL FROM:<sender@example.org>\nC: RCPT TO:<me@example.org>\nC: RSET\n"
        "S: 250 ok\nS: 550 5.1.1 unknown\nS: 250 ok\nC: QUIT\nS: 221 bye"
    )
    with played(ScriptedServer(script)) as server:
        _, found = asked(draft_to(server), network)
    assert (found.ok, found.findings[0].code) == (True, "recipient_refused")
    assert found.findings[0].facts["recipient"] == "me@example.org"


# The mechanism


def test_the_mechanism_that_signed_in_is_told(network):
    with SinkServer(login="app", password=PASSWORD).in_thread() as sink:
        assert outcome(draft_to(sink, password=PASSWORD), network).mechanism == "PLAIN"
        assert outcome(draft_to(sink), network).mechanism == ""


def test_a_server_that_hides_the_fixed_mechanism_hears_no_password(network):
    script = f"{GREETED}\n" + r"S- 250-mx\r\n250 AUTH LOGIN\r\n" + "\nC: QUIT\nS: 221 bye"
    with played(ScriptedServer(script)) as server:
        draft = draft_to(server, password=PASSWORD)
        found = outcome(replace(draft, hop=replace(draft.hop, mechanism="PLAIN")), network)
    assert found.findings[0].code == "no_mechanism"
    assert found.findings[0].facts["fixed"] == "PLAIN"


# The other address family


def both(*texts):
    async def lookup(host, port):
        return tuple(map(ipaddress.ip_address, texts))

    return loopback_network(lookup=lookup)


def beside(found):
    (step,) = (step for step in found.steps if step.sent.startswith(climb.ALSO))
    return step


@pytest.mark.parametrize("order", [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_a_family_that_refuses_is_a_warning_and_the_other_carries(order):
    with SinkServer().in_thread() as sink:
        found = outcome(draft_to(sink), both(*order))
    assert found.ok
    assert found.findings[0].code == "family_silent"
    assert found.findings[0].facts["family"] == "IPv6"
    assert step_failed(beside(found))
    assert step_text(beside(found)) == "Its IPv6 address does not answer"


def test_a_family_that_answers_is_told_and_nothing_is_said_to_it():
    with (
        SinkServer().in_thread() as sink,
        socket.create_server(("::1", sink.port), family=socket.AF_INET6) as other,
    ):
        found = outcome(draft_to(sink), both("127.0.0.1", "::1"))
        accepted, _ = other.accept()
        with accepted:
            assert accepted.recv(10) == b""
    assert found.ok
    assert "family_silent" not in {finding.code for finding in found.findings}
    assert not step_failed(beside(found))
    assert step_text(beside(found)) == "Its IPv6 address answers too"


def test_a_family_that_never_answers_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(climb, "FAMILY_PATIENCE", 0.3)
    with black_hole() as hole, SinkServer(host="::1", port=hole.port).in_thread() as sink:
        started = time.monotonic()
        found = outcome(draft_to(sink), both("::1", "127.0.0.1"))
        assert 0.3 <= time.monotonic() - started < 1.0
    assert found.findings[0].facts["family"] == "IPv4"
    assert found.findings[0].facts["address"] == "127.0.0.1"


def test_a_machine_without_that_family_is_told_no_finding():
    with SinkServer().in_thread() as sink:
        found = outcome(draft_to(sink, source_address="127.0.0.1"), both("127.0.0.1", "::1"))
    assert [step for step in found.steps if step.sent.startswith(climb.ALSO)] == []
    assert "family_silent" not in {finding.code for finding in found.findings}


def test_an_address_of_the_other_family_that_may_not_be_dialled_is_not_dialled_nor_told():
    async def lookup(host, port):
        return (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))

    guard = Guard(parse_networks("127.0.0.0/8"), frozenset(range(1, 65536)))
    with (
        SinkServer().in_thread() as sink,
        socket.create_server(("::1", sink.port), family=socket.AF_INET6) as other,
    ):
        found = outcome(draft_to(sink), Network(guard, lookup))
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.accept()
    assert found.ok
    assert "::1" not in str([step.as_json() for step in found.steps])


# In words


def test_protection_and_sign_in_say_beneath_what_they_are(network):
    with SinkServer(encryption="ssl", login="app", password=PASSWORD).in_thread() as sink:
        found = outcome(draft_to(sink, "ssl", password=PASSWORD), network)
    beneath = {step.phase: step_detail(step) for step in found.steps if step_detail(step)}
    assert beneath["auth"] == "PLAIN"
    assert beneath["tls"] == f"certificate until {day_text(found.validity.ends_at)}"
    assert set(beneath) == {"tls", "auth"}
