"""What the ledger's tests share: a fixed time, things to make, and threads and processes with connections of their own."""

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from urllib.parse import quote

from django.db import connection as database
from django.db import connections as databases

from vaguemestre.ledger import backups, claims, connections, contents, leases, messages, queue
from vaguemestre.ledger.accept import Submission, Via, accept
from vaguemestre.ledger.identity import new_digits
from vaguemestre.ledger.models import Connection, Delivery, Event, Instance, Lane
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ACTOR = "user:someone@example.org"
HOLDER = "a-test's-courier"  # of no process: never judged dead


def later(**amount):
    return NOW + timedelta(**amount)


def on_postgresql():
    return database.vendor == "postgresql"


def connect(name="Office", **values):
    """A saved connection; its sender is made of its name."""
    sender = f"{name.split()[0].lower()}@example.org" if name.isascii() else "office@example.org"
    plain = {"name": name, "sender_email": sender, "host": "smtp.example.org"}
    return connections.create(plain | values, ACTOR, NOW).connection


def with_password(name="Office", **values):
    return connect(name, **{"login": "office", "password": "hunter2-hunter2"} | values)


def fresh(row):
    """The row as it is stored now."""
    return type(row).objects.get(pk=row.pk)


def content(from_="asked@example.net", subject="A test", headers=(), body="hello"):
    fields = [] if from_ is None else [f"From: {from_}"]
    lines = [*fields, f"Subject: {subject}", *headers, "", body, ""]
    return Content("\r\n".join(lines).encode())


def submission(*recipients, from_="asked@example.net", reverse_path="asked@example.net", **values):
    path = None if reverse_path is None else Mailbox.parse(reverse_path)
    envelope = Envelope(path, tuple(Mailbox.parse(one) for one in recipients or ("to@example.com",)))
    made = values.pop("content", None) or content(
        from_, **{key: values.pop(key) for key in ("subject", "headers", "body") if key in values}
    )
    return Submission(envelope, made, values.pop("via", Via.API), **values)


def post(*recipients, now=NOW, **values):
    return accept(submission(*recipients, **values), now)


def deliveries(message):
    return messages.deliveries_of(messages.find(str(message.uid)))


def only(message):
    (delivery,) = deliveries(message)
    return delivery


def events(delivery):
    return list(Event.objects.filter(delivery=delivery).order_by("pk"))


def codes(delivery):
    return [event.detail["code"] for event in events(delivery)]


def lease_of(connection, holder=HOLDER, now=NOW):
    """The lease of a connection's lane, taken or renewed."""
    return next(lease for lease in leases.take(holder, now) if lease.connection_id == connection.pk)


def lose_lease(connection):
    """Let the lane's lease be as old as a lost one, by whichever clock counts."""
    Lane.objects.filter(connection=connection).update(
        renewed_at=leases.lease_time(NOW) - leases.LOST_AFTER - timedelta(seconds=1)
    )


def claimed(connection, now=NOW, limit=100):
    """A lease and the one claim that is due."""
    lease = lease_of(connection, now=now)
    (claim,) = queue.claim(lease, limit, now)
    return lease, claim


def stand_in(now, limit=backups.BATCH):
    """Have backups carry what they are to, as a courier does; how many deliveries moved."""
    return sum(backups.move(pair, now, limit) for pair in backups.concerned())


def stage(lease, claim, now, recipients=None):
    """Mark one claim, as a courier marks many."""
    (marked,) = queue.record(lease, [claim.mark(recipients)], [], now).staged
    if not marked:
        raise claims.Stale("the end of data must not go out")


def settle(lease, done, now):
    """Record one report, as a courier records many; whether it changed anything."""
    return bool(queue.record(lease, [], [dataclasses.replace(done, ended_at=now)], now).settled)


def rendered(message, route):
    """The bytes by which a message leaves by a route."""
    made = claims.Claim(new_digits(), message.pk, route, message.size, ())
    return contents.departing([made])[made.attempt]


def staged(connection, now=NOW):
    lease, claim = claimed(connection, now)
    stage(lease, claim, now)
    return lease, claim


def report(claim, state, now=NOW, reply=None, **values):
    """What an attempt did to every delivery of a claim alike."""
    if state is DeliveryState.QUEUED:
        values.setdefault("delay_until", now)
    health = values.pop("health", None)
    version = values.pop("connection_version", 1)
    settlements = tuple(claims.Settlement(duty.id, state, reply, **values) for duty in claim.duties)
    return claims.Report(
        claim=claim, started_at=now, staged_at=now, ended_at=now, connection_version=version, peer="192.0.2.1", tls="TLSv1.3",
        steps=[], settlements=settlements, health=health,
    )  # fmt: skip


def in_doubt(connection, now=NOW, reason="connection_lost"):
    """Claim, stage and break off what is due."""
    lease, claim = staged(connection, now)
    settle(lease, report(claim, DeliveryState.IN_DOUBT, now, doubt=reason), now)
    return claim


def accepted(connection, now=NOW):
    lease, claim = staged(connection, now)
    settle(lease, report(claim, DeliveryState.ACCEPTED, now, Reply(250, "2.0.0 Ok")), now)
    return claim


def epoch():
    return Instance.objects.get().routing_epoch


def defaults():
    return list(Connection.objects.filter(is_default=True).values_list("name", flat=True))


def states():
    return sorted(Delivery.objects.values_list("state", flat=True))


def fault_codes(refusal):
    return {(fault.field, fault.code) for fault in refusal.errors}


def sql(statement, *parameters):
    """A statement by hand, past everything but the database; the rows it returns."""
    with database.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def at_once(jobs):
    """Run the functions in threads that start together, each with a database connection of its own.

    The answers, in order; an exception is an answer.
    """
    barrier = Barrier(len(jobs))

    def call(job):
        try:
            barrier.wait(20)
            return job()
        except Exception as error:  # noqa: BLE001  an answer too
            return error
        finally:
            databases.close_all()

    with ThreadPoolExecutor(len(jobs)) as executor:
        return list(executor.map(call, jobs))


def elsewhere(job):
    """What the function answers when another database connection asks."""
    (answer,) = at_once([job])
    if isinstance(answer, Exception):
        raise answer
    return answer


_CHILD = """
import sys, time, os
import django
django.setup()
from datetime import UTC, datetime, timedelta
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""


def child(program):
    """Another process on the same database; it runs the program after Django is set up."""
    settings = database.settings_dict
    if on_postgresql():
        url = f"postgresql://{settings['USER']}@{quote(settings['HOST'], safe='')}/{settings['NAME']}"
    else:
        url = f"sqlite:///{settings['NAME']}"
    variables = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "vaguemestre.settings"}
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD + program],
        env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
