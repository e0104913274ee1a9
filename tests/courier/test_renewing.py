"""Verifications are renewed in the background, certificates watched, and the verified mechanism used."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from scripted.certificates import the_authority, the_certificate
from scripted.client import PASSWORD, loopback_network
from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.courier import chores
from vaguemestre.courier.alert_wording import Alert, worded
from vaguemestre.ledger import connections, instance, renewals, verifications
from vaguemestre.ledger.models import Connection, Lane, Verification
from vaguemestre.ledger.verifications import Record, VerificationKind
from vaguemestre.mail.phase import Phase
from vaguemestre.policy.alerting import AlertKind
from vaguemestre.policy.finding import Finding, FindingCode

pytestmark = pytest.mark.any_database

LOGIN = {"login": "app", "password": PASSWORD}


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(chores, "RENEWALS_EVERY", 0.05)
    monkeypatch.setattr(chores, "CERTIFICATES_EVERY", 0.05)


@pytest.fixture
def logged():
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
async def guarded():
    """A server that wants a login."""
    async with SinkServer(**LOGIN) as server:
        yield server


def told(logged, kind):
    return [entry for entry in logged if entry["event"] == "alert" and entry["kind"] == kind]


def is_told(logged, kind):
    """What is told is in the ledger, and then in the log, a moment later."""
    return lambda: len(told(logged, kind)) == 1


def renewed(logged):
    return [entry["ok"] for entry in logged if entry["event"] == "verification_renewed"]


async def verified(office, server, record=None, **values):
    """A connection with a verification of just now."""
    connection = await office.connect(server, **(LOGIN | values))
    record = record or Record(ok=True, mechanism="PLAIN")
    await office.ask(verifications.keep, connection.fingerprint, connection, record, office.clock())
    return connection


def state_of(connection):
    return verifications.state_of(Connection.objects.get(pk=connection.pk))


async def test_a_verification_is_renewed_when_its_day_is_over(office, guarded, logged):
    connection = await verified(office, guarded)
    before = await office.ask(state_of, connection)
    async with office.courier():
        await office.until_true(lambda: Lane.objects.exclude(holder="").exists())
        assert guarded.sessions == 0
        office.clock.advance(days=2)
        await office.until_true(lambda: Verification.objects.count() == 2 and renewed(logged))
    after = await office.ask(state_of, connection)
    assert after.state is VerificationKind.VERIFIED
    assert after.at - before.at >= timedelta(days=2)
    assert renewed(logged) == [True]
    assert b"RCPT" not in guarded.heard
    assert told(logged, "verification_failed") == []


async def test_one_that_fails_is_told_without_mail_and_a_refused_password_is_not_tried_again(
    office, guarded, logged
):
    connection = await verified(office, guarded)
    guarded.hooks["auth"] = lambda _: Answer("535 5.7.8 no")
    office.clock.advance(days=2)
    async with office.courier():
        await office.until_true(is_told(logged, "verification_failed"))
        office.clock.advance(days=9)
        await office.until_true(lambda: renewals.failed() == [connection] and renewed(logged))
    assert (await office.ask(state_of, connection)).state is VerificationKind.FAILED
    assert renewed(logged) == [False]
    assert len(told(logged, "verification_failed")) == 1
    assert guarded.sessions == 1
    health = await office.ask(lambda: Connection.objects.get().health)
    assert health == "ready"
    assert PASSWORD not in str(logged)


async def test_a_stop_while_the_failure_is_written_down_leaves_it_told_once(
    office, guarded, logged, monkeypatch
):
    """What is kept is not told again: it has to be told by then."""
    await verified(office, guarded)
    guarded.hooks["auth"] = lambda _: Answer("535 5.7.8 no")
    office.clock.advance(days=2)
    keep, kept = verifications.keep, threading.Event()

    def keep_in_vain(*args):
        kept.set()
        time.sleep(0.2)  # the stop comes now, and nobody waits for the answer
        return keep(*args)

    monkeypatch.setattr(verifications, "keep", keep_in_vain)
    for most in (1, 2):
        async with office.courier():
            if most == 1:
                await office.until_true(kept.is_set)
            else:
                await asyncio.sleep(0.3)
        assert len(told(logged, "verification_failed")) == 1
    assert await office.ask(Verification.objects.count) == 2


async def test_what_passes_by_itself_is_told_once_and_its_end_too(office, guarded, logged):
    connection = await verified(office, guarded)
    guarded.hooks["mail"] = lambda _: Answer("451 4.3.0 try later")
    office.clock.advance(days=2)
    async with office.courier():
        for failed in (1, 2):
            await office.until_true(lambda most=failed: len(renewed(logged)) == most)
            assert len(told(logged, "verification_failed")) == 1
            office.clock.advance(hours=1, seconds=1)
        guarded.hooks.clear()
        await office.until_true(is_told(logged, "connection_recovered"))
        await office.until_true(lambda: renewed(logged)[-1])
    assert not await office.ask(renewals.failed)
    assert renewed(logged)[:2] == [False, False]
    assert len(told(logged, "verification_failed")) == 1
    assert len(told(logged, "connection_recovered")) == 1
    assert (await office.ask(state_of, connection)).state is VerificationKind.VERIFIED


@pytest.mark.parametrize("why", ["switched off", "inactive", "locked", "paused", "stale", "never"])
async def test_what_should_be_left_alone_is_left_alone(office, guarded, logged, why):
    connection = await verified(office, guarded)
    uid = str(connection.uid)

    def leave_alone():
        match why:
            case "switched off":
                instance.change_settings({"renew_verifications": False}, "test", office.clock())
            case "inactive":
                connections.deactivate(uid, "test", office.clock())
            case "locked":
                Connection.objects.update(health="locked", health_why="sign_in_refused")
            case "paused":
                connections.pause(uid, "test", office.clock())
            case "stale":
                connections.edit(uid, {"sender_email": "other@example.org"}, "test", office.clock())
            case "never":
                Verification.objects.all().delete()

    await office.ask(leave_alone)
    office.clock.advance(days=3)
    other = await verified(office, guarded, name="Other")
    assert await office.ask(renewals.next_due, [connection.pk, other.pk], office.clock()) is None
    if why != "switched off":
        due = office.clock() + timedelta(days=2)
        found = await office.ask(renewals.next_due, [connection.pk, other.pk], due)
        assert (found.connection, found.failed) == (other, False)


async def test_the_renewal_signs_in_as_deliveries_do_and_tells_a_mechanism_that_is_gone(office, logged):
    script = "S: 220 mx\nC~ EHLO \\S+\nS- 250-mx\\r\\n250 AUTH LOGIN\\r\\n\nC: QUIT\nS: 221 bye"
    async with ScriptedServer(script) as server:
        await verified(office, server)
        office.clock.advance(days=2)
        async with office.courier():
            await office.until_true(is_told(logged, "verification_failed"))
            await office.until_true(lambda: renewed(logged))
    findings = (await office.ask(lambda: Verification.objects.latest("at"))).findings
    assert findings[0]["code"] == "no_mechanism"
    assert findings[0]["facts"]["fixed"] == "PLAIN"
    assert len(told(logged, "verification_failed")) == 1


async def test_a_delivery_signs_in_with_the_verified_mechanism_and_with_no_other(office):
    script = "S: 220 mx\nC~ EHLO \\S+\nS- 250-mx\\r\\n250 AUTH LOGIN\\r\\n\nC: QUIT\nS: 221 bye"
    async with ScriptedServer(script) as server:
        await verified(office, server)
        async with office.courier():
            await office.post()
            await office.until_true(lambda: Connection.objects.get().health == "locked")
    assert PASSWORD.encode() not in server.heard


async def test_another_mechanism_that_a_person_verified_is_used_at_once(office):
    """The lane learns it although no setting changed."""
    async with SinkServer(**LOGIN) as sink:
        connection = await verified(office, sink)
        await office.ask(lambda: Connection.objects.update(mechanism="CRAM-MD5"))
        async with office.courier():
            await office.post()
            await office.until_true(lambda: Connection.objects.get().health == "locked")
            record = Record(ok=True, mechanism="PLAIN")
            now = office.clock()
            await office.ask(verifications.keep, connection.fingerprint, connection, record, now)
            await office.until_true(lambda: len(sink.accepted) == 1)
        assert sum(" AUTH " in f" {line} " for _, line in sink.commands) == 1


# Certificates


@pytest.fixture
def looks(monkeypatch):
    """When the ends of certificates were looked at."""
    times, look = [], renewals.take_notices
    monkeypatch.setattr(renewals, "take_notices", lambda among, now: times.append(now) or look(among, now))
    return times


async def test_deliveries_see_when_a_certificate_ends_and_it_is_told_21_days_ahead(
    office, logged, looks, tmp_path
):
    roots = str(the_authority().write(tmp_path))
    ends_at = datetime(2100, 1, 1, tzinfo=UTC)
    async with SinkServer(encryption="ssl") as sink:
        connection = await office.connect(sink, encryption="ssl", host="localhost")
        async with office.courier(network=loopback_network(roots)):
            message = await office.post()
            await office.until(message, "accepted")
            await office.until_true(lambda: Lane.objects.get().certificate_ends_at is not None)
            seen = await office.ask(lambda: Lane.objects.get().certificate_ends_at)
            assert seen == the_certificate().ends_at
            ends_at = office.clock() + timedelta(days=20)
            await office.ask(lambda: Lane.objects.update(certificate_ends_at=ends_at))
            await office.until_true(lambda: len(told(logged, "certificate_expires")) == 1)
            for days in (19, 30, 18):  # machines with other certificates, behind the same name
                ends_at = office.clock() + timedelta(days=days)
                await office.ask(lambda at=ends_at: Lane.objects.update(certificate_ends_at=at))
                enough = len(looks) + 2  # the first may be under way
                await office.until_true(lambda enough=enough: len(looks) >= enough)
            assert len(told(logged, "certificate_expires")) == 1
            office.clock.advance(days=14)
            await office.until_true(lambda: len(told(logged, "certificate_expires")) == 2)
    assert {entry["connection"] for entry in told(logged, "certificate_expires")} == {connection.pk}


async def test_of_two_couriers_the_one_that_serves_the_connection_tells(office, guarded, logged, looks):
    connection = await office.connect(guarded, **LOGIN)
    ends_at = office.clock() + timedelta(days=20)
    await office.ask(lambda: Lane.objects.update(certificate_ends_at=ends_at))
    async with office.courier(), office.courier():
        await office.until_true(lambda: len(told(logged, "certificate_expires")) == 1)
        enough = len(looks) + 6  # of both of them
        await office.until_true(lambda: len(looks) >= enough)
    assert [entry["connection"] for entry in told(logged, "certificate_expires")] == [connection.pk]


# What is told


def test_a_failed_renewal_is_told_with_what_was_found_and_what_to_do():
    facts = {"host": "smtp.example.org", "port": "587", "login": "app", "sender": "a@example.org"}
    found = Finding.of(FindingCode.AUTH_REFUSED, Phase.AUTH, facts).as_json()
    what, remedy = worded(Alert(AlertKind.VERIFICATION_FAILED, 7, finding=found), "Billing", "en")
    assert what.startswith("“Billing” was tried in the background, and failed. smtp.example.org refuses")
    assert remedy.startswith("Type both again")
    french, _ = worded(Alert(AlertKind.VERIFICATION_FAILED, 7, finding=found), "Billing", "fr")
    assert french.startswith("«\u00a0Billing\u00a0» a été essayée en arrière-plan, sans succès.")


def test_the_end_of_a_certificate_is_told_with_its_date():
    alert = Alert(AlertKind.CERTIFICATE_EXPIRES, 7, facts={"expires_at": "2026-12-04T12:00:00+00:00"})
    assert worded(alert, "Billing", "en")[0] == (
        "The certificate of the server of “Billing” ends on December 4, 2026."
    )
