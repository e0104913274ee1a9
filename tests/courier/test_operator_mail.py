"""Alerts by mail: to those who want them, one for all that happened, never a mail for each event of a storm."""

import asyncio
import email
from datetime import UTC, datetime, timedelta
from email import policy
from types import SimpleNamespace
from uuid import uuid4

import pytest

from vaguemestre.courier.alert_wording import Alert, worded
from vaguemestre.courier.alerts import Alerts
from vaguemestre.courier.digest import Digest
from vaguemestre.courier.operator_mail import hand_over
from vaguemestre.courier.watch import Watch
from vaguemestre.ledger import allowance, connections, operators, passwords
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Connection, Delivery, Message, Use, User
from vaguemestre.policy.alerting import AlertKind

pytestmark = pytest.mark.any_database
BASE = "https://mail.example.org"
AT = datetime(2026, 11, 27, 9, 12, tzinfo=UTC)
HELD = Alert(AlertKind.MESSAGE_HELD, message="0190")


def locked(connection_id):
    return Alert(AlertKind.CONNECTION_LOCKED, connection_id, why="sign_in_refused", said="535 5.7.8 no")


def person(address, language, **values):
    return User.objects.create_user(address, language=language, **{"wants_alerts": True} | values)


def mails():
    found = Message.objects.order_by("pk")
    return [email.message_from_bytes(content_of(one).raw, policy=policy.default) for one in found]


async def test_those_who_want_it_get_one_mail_in_their_language(office, sink):
    connection = await office.connect(sink)

    def tell():
        person("claire@example.net", "fr")
        person("max@example.net", "it")
        person("ann@example.net", "en", wants_alerts=False)
        person("eve@example.net", "en", is_active=False)
        return hand_over([(locked(connection.pk), AT), (HELD, AT)], BASE), mails()

    told, (french, italian) = await office.ask(tell)
    assert told
    assert (french["To"], french["Subject"]) == ("claire@example.net", "Vaguemestre\xa0: 2 alertes")
    assert (italian["To"], italian["Subject"]) == ("max@example.net", "Vaguemestre: 2 avvisi")
    words = french.get_body(("plain",)).get_content()
    assert "535 5.7.8 no" in words
    assert f"{BASE}/connections/{connection.uid}/" in words
    assert f"{BASE}/messages/0190/" in words


async def test_none_within_half_an_hour_of_the_last_whoever_asks(office, sink):
    await office.connect(sink)

    def tell():
        person("claire@example.net", "fr")
        answers = [hand_over([(HELD, AT)], BASE) for _ in range(3)]
        now = datetime.now(UTC)
        turns = [operators.take_turn(now + timedelta(minutes=minutes)) for minutes in (29, 31, 32, -600)]
        return answers, turns, Message.objects.count()

    assert await office.ask(tell) == ([True, False, False], [False, True, False, True], 1)


async def test_where_mail_itself_does_not_leave_none_is_made(office, sink):
    connection = await office.connect(sink)

    def tell():
        person("claire@example.net", "fr")
        answers = []
        for values in ({"health": "locked"}, {"health": "ready", "active": False}):
            Connection.objects.filter(pk=connection.pk).update(**values)
            answers.append(hand_over([(locked(connection.pk), AT)], BASE))
        return answers, Message.objects.count()

    assert await office.ask(tell) == ([True, True], 0)


async def test_a_storm_of_a_thousand_alerts_is_one_mail_with_the_latest_of_each():
    mailed = []

    async def mail(told):
        mailed.append(told)
        return True

    alerts = Alerts(digest=Digest(mail, gather=0.05, again=0.01))
    for _ in range(50):
        for number in range(20):
            alerts.tell(locked(number))
    await asyncio.sleep(0.2)
    await alerts.close()
    assert [len(told) for told in mailed] == [20]


async def test_what_comes_too_early_waits_for_the_next_mail():
    asked = []

    async def mail(told):
        asked.append({alert.connection_id for alert, _ in told})
        return len(asked) in {1, 4}

    digest = Digest(mail, gather=0.0, again=0.02)
    digest.add(locked(1), AT)
    await asyncio.sleep(0.01)
    digest.add(locked(2), AT)
    await asyncio.sleep(0.2)
    await digest.close()
    assert asked == [{1}, {2}, {2}, {2}]


async def test_what_waits_at_the_end_is_mailed_then():
    mailed = []

    async def mail(told):
        mailed.append({alert.connection_id for alert, _ in told})
        return True

    alerts = Alerts(digest=Digest(mail))
    alerts.tell(locked(1))
    alerts.tell(locked(2))
    await alerts.close()
    assert mailed == [{1, 2}]


async def test_what_waits_for_people_and_a_backup_that_stands_in_are_told_by_one_of_the_couriers(
    office, sink
):
    spare = await office.connect(sink, name="Spare")
    first = await office.connect(sink, name="First", backup=str(spare.uid))
    await office.ask(connections.deactivate, str(first.uid), "test", office.clock())
    held = await office.post(connection=str(first.uid))
    await office.ask(connections.activate, str(first.uid), "test", office.clock())
    locked = {"health": "locked", "health_why": "sign_in_refused", "health_since": office.clock()}
    await office.ask(lambda: Connection.objects.filter(pk=first.pk).update(**locked))
    told = []
    engine = SimpleNamespace(
        threads=SimpleNamespace(run=office.ask), alerts=SimpleNamespace(tell=told.append)
    )
    for watch in (Watch(engine), Watch(engine), Watch(engine)):  # the last after a restart
        await watch.people()
        await watch.backups(office.clock())
    assert [(alert.kind, alert.message, alert.backup) for alert in told] == [
        (AlertKind.MESSAGE_HELD, str(held.uid), ""),
        (AlertKind.BACKUP_IN_USE, "", "Spare"),
    ]


async def test_a_quota_is_told_once_by_one_of_the_couriers_until_it_was_away_from_it(office, sink):
    connection = await office.connect(sink, limits={"per_day": 10})
    told = []
    engine = SimpleNamespace(
        threads=SimpleNamespace(run=office.ask), alerts=SimpleNamespace(tell=told.append)
    )
    couriers = [Watch(engine), Watch(engine)]

    async def look(used):
        await office.ask(Use.objects.all().delete)
        await office.ask(allowance.take, connection.pk, {uuid4(): used})
        for watch in couriers:
            await watch.quotas(office.clock())
        return len(told)

    assert [await look(used) for used in (7, 8, 10, 7, 8, 6, 8)] == [0, 1, 1, 1, 1, 1, 2]
    assert (told[0].kind, told[0].facts) == (AlertKind.QUOTA_NEAR, {"used": "8", "limit": "10"})
    assert "8 des 10" in worded(told[0], "Bureau", "fr")[0]


async def test_who_forgot_a_password_gets_a_link_from_the_courier(office, sink):
    await office.connect(sink)
    await office.ask(person, "claire@example.net", "fr")
    for address in ("nobody@example.net", "CLAIRE@example.net"):
        await office.ask(passwords.ask, address, office.clock())
    async with office.courier():
        await office.until_true(lambda: Delivery.objects.filter(state="accepted").exists())
    (taken,) = sink.contents("claire@example.net")
    assert b"/accounts/password/choose/" in taken
