"""What a verification leaves behind: a record under its values, an unlocked connection, and no secret."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from scripted.client import PASSWORD
from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections, lanes, verifications
from vaguemestre.ledger.models import Connection, Verification
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.verifications import VerificationKind
from vaguemestre.mail.state import Health
from vaguemestre.verification.probe import Outcome, as_json, verify
from vaguemestre.verification.wording import stored_words, words
from verification.trial import FORMS_OF_THE_PASSWORD, NOW, Nowhere, draft_to, leaks, outcome

pytestmark = pytest.mark.django_db


@pytest.fixture
def sink():
    with SinkServer(encryption="starttls", login="app", password=PASSWORD).in_thread() as server:
        yield server


def typed(server, **values) -> dict[str, object]:
    """A connection to the server as the form would post it."""
    return {
        "name": "Office",
        "sender_email": "office@example.org",
        "host": "127.0.0.1",
        "port": server.port,
        "encryption": "starttls",
        "login": "app",
        "password": PASSWORD,
    } | values


def verified(draft, network, now=NOW) -> Outcome:
    *_, last = verify(draft, now, network=network)
    assert isinstance(last, Outcome)
    return last


# The values that were verified


def test_a_verification_counts_for_an_identical_save_within_the_hour(network, sink):
    assert verified(connections.draft(typed(sink)), network).ok
    saved = connections.create(typed(sink), "test", NOW + dt.timedelta(minutes=59))
    assert not saved.unverified
    state = verifications.state_of(saved.connection)
    assert (state.state, state.at) == (VerificationKind.VERIFIED, NOW)


def test_a_verification_of_more_than_an_hour_ago_counts_no_more(network, sink):
    verified(connections.draft(typed(sink)), network)
    saved = connections.create(typed(sink), "test", NOW + dt.timedelta(minutes=61))
    assert saved.unverified
    assert verifications.state_of(saved.connection).state is VerificationKind.NEVER


@pytest.mark.parametrize(
    "changed", [{"sender_email": "other@example.org"}, {"password": "another-word"}, {"login": "other"}]
)
def test_a_verification_counts_for_no_other_values(network, sink, changed):
    verified(connections.draft(typed(sink)), network)
    assert connections.create(typed(sink, **changed), "test", NOW).unverified


def test_a_changed_connection_is_stale_until_it_is_verified_again(network, sink):
    verified(connections.draft(typed(sink)), network)
    connection = connections.create(typed(sink), "test", NOW).connection
    connections.edit(str(connection.uid), {"sender_email": "sales@example.org"}, "test", NOW)
    connection = connections.find("Office")
    assert verifications.state_of(connection).state is VerificationKind.STALE
    verified(connections.saved_draft(connection), network, NOW + dt.timedelta(minutes=1))
    assert verifications.state_of(connection).state is VerificationKind.VERIFIED


def test_a_failed_verification_is_kept_as_codes_with_facts_and_read_in_words(network, sink):
    found = verified(connections.draft(typed(sink, password="wrong-word")), network)
    saved = connections.create(typed(sink, password="wrong-word"), "test", NOW)
    assert saved.unverified
    state = verifications.state_of(saved.connection)
    assert state.state is VerificationKind.FAILED
    assert [kept["code"] for kept in state.findings] == ["auth_refused", "login_without_domain"]
    assert all(kept.keys() == {"code", "severity", "phase", "who", "facts"} for kept in state.findings)
    assert [stored_words(kept) for kept in state.findings] == [words(finding) for finding in found.findings]


# Health


def lock(connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(
        health=Health.LOCKED.value, health_why="sign_in_refused"
    )


def test_a_success_unlocks_and_a_failure_does_not(network, sink):
    connection = connections.create(typed(sink), "test", NOW).connection
    lock(connection)
    sink.hooks = {"auth": lambda _: Answer("535 5.7.8 no")}
    assert not verified(connections.saved_draft(connections.find("Office")), network).ok
    assert connections.find("Office").health == Health.LOCKED
    sink.hooks = {}
    assert verified(connections.saved_draft(connections.find("Office")), network).ok
    assert connections.find("Office").health == Health.READY


def test_a_success_of_other_values_unlocks_nothing(network, sink):
    connection = connections.create(typed(sink), "test", NOW).connection
    lock(connection)
    values = typed(sink, sender_email="sales@example.org")
    assert verified(connections.draft(values, str(connection.uid)), network).ok
    assert connections.find("Office").health == Health.LOCKED


# The secret


@pytest.mark.parametrize(
    "changed",
    [{"host": "127.0.0.2"}, {"port": 2587}, {"encryption": "ssl"}, {"encryption": "none"}, {"login": "root"}],
)
def test_a_stored_password_never_leaves_for_values_it_was_not_saved_for(network, sink, changed):
    connection = connections.create(typed(sink), "test", NOW).connection
    values = typed(sink, password="") | changed
    with pytest.raises(Refusal) as refused:
        verified(connections.draft(values, str(connection.uid)), network)
    assert [fault.code for fault in refused.value.errors] == ["password_again"]
    assert (sink.sessions, bytes(sink.heard)) == (0, b"")
    assert Verification.objects.count() == 0


def test_a_stored_password_is_used_for_the_values_it_was_saved_for(network, sink):
    connection = connections.create(typed(sink), "test", NOW).connection
    values = typed(sink, password="", sender_email="sales@example.org")
    assert verified(connections.draft(values, str(connection.uid)), network).ok


def test_the_password_is_in_no_step_finding_record_or_error(network, sink):
    echo = f"535 5.7.8 {PASSWORD} is wrong, and so are {' and '.join(FORMS_OF_THE_PASSWORD[1:])}"
    for hooks in ({}, {"auth": lambda _: Answer(echo)}):
        sink.hooks = hooks
        draft = connections.draft(typed(sink))
        told = list(verify(draft, NOW, network=network))
        body = as_json(told[-1], words)
        assert leaks(repr(told)) == []
        assert leaks(repr(draft)) == []
        assert leaks(json.dumps(body)) == []
    kept = [(row.steps, row.findings, row.seen_address) for row in Verification.objects.all()]
    assert len(kept) == 2
    assert leaks(json.dumps(kept)) == []
    # It did go where it was meant to.
    assert leaks(sink.heard.decode()) != []


def test_no_password_leaves_without_tls_however_the_server_answers(network):
    for keywords in (("AUTH PLAIN",), ("STARTTLS", "AUTH PLAIN"), ()):
        hooks = {"starttls": lambda _: Answer("454 4.7.0 not now")}
        with SinkServer(keywords=("8BITMIME", *keywords), hooks=hooks).in_thread() as sink:
            found = outcome(draft_to(sink, "starttls", password=PASSWORD), network)
        assert not found.ok
        assert leaks(sink.heard.decode()) == []
        assert b"AUTH" not in sink.heard


# What it fixes for deliveries


def test_the_mechanism_that_was_verified_is_the_one_that_deliveries_sign_in_with(network, sink):
    connection = connections.create(typed(sink), "test", NOW).connection
    assert lanes.hop_of(connection.pk).mechanism == ""
    assert verified(connections.saved_draft(connection), network).ok
    connection.refresh_from_db()
    assert (connection.mechanism, lanes.hop_of(connection.pk).mechanism) == ("PLAIN", "PLAIN")
    (facts,) = lanes.survey(NOW)
    assert facts.mechanism == "PLAIN"
    assert facts.validity.starts_at < NOW < facts.validity.ends_at


def test_a_verification_before_the_save_fixes_it_too_and_other_settings_forget_it(network, sink):
    verified(connections.draft(typed(sink)), network)
    connection = connections.create(typed(sink), "test", NOW).connection
    assert connection.mechanism == "PLAIN"
    uid = str(connection.uid)
    assert connections.edit(uid, {"name": "Main office"}, "test", NOW).connection.mechanism == "PLAIN"
    changed = {"sender_email": "sales@example.org"}
    assert connections.edit(uid, changed, "test", NOW).connection.mechanism == ""
    before = {"sender_email": "office@example.org"}
    assert connections.edit(uid, before, "test", NOW).connection.mechanism == "PLAIN"


def test_a_person_who_verifies_has_the_mechanism_chosen_anew(network, sink):
    connection = connections.create(typed(sink), "test", NOW).connection
    Connection.objects.update(mechanism="CRAM-MD5")
    connection.refresh_from_db()
    assert verified(connections.saved_draft(connection), network).ok
    connection.refresh_from_db()
    assert connection.mechanism == "PLAIN"


def test_a_failed_verification_changes_no_mechanism(network, sink):
    connection = connections.create(typed(sink), "test", NOW).connection
    verified(connections.saved_draft(connection), network)
    sink.hooks["auth"] = lambda _: Answer("535 5.7.8 no")
    connection.refresh_from_db()
    assert not verified(connections.saved_draft(connection), network).ok
    connection.refresh_from_db()
    assert connection.mechanism == "PLAIN"


def test_what_was_found_is_forgotten_after_three_months_but_not_the_last(network, sink):
    connection = connections.create(typed(sink), "test", NOW).connection
    for days in (0, 1, 100):
        verified(connections.saved_draft(connection), network, NOW + dt.timedelta(days=days))
    assert Verification.objects.count() == 1
    assert verifications.state_of(connection).at == NOW + dt.timedelta(days=100)


# The answer of the API


def test_the_body_has_the_names_of_the_interface(network, sink):
    body = as_json(verified(connections.draft(typed(sink)), network), words)
    assert list(body) == [
        "ok", "steps", "findings", "capabilities", "tls", "seen_address", "mechanism", "presented",
    ]  # fmt: skip
    assert (body["mechanism"], body["presented"]) == ("PLAIN", None)
    assert body["ok"] is True
    assert body["steps"][0].keys() >= {"phase", "sent", "reply", "error", "elapsed_ms"}
    assert body["findings"][0].keys() == {
        "code", "severity", "phase", "what", "why", "remedy", "who", "who_text",
    }  # fmt: skip
    json.dumps(body)


def test_a_connection_that_was_never_reached_has_neither_capabilities_nor_tls(network):
    body = as_json(outcome(draft_to(Nowhere()), network), words)
    assert (body["capabilities"], body["tls"], body["seen_address"]) == ({}, None, None)
