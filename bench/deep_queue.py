"""A queue of a given depth, what its next messages cost, and what a look at it costs.

    python -m bench.deep_queue DEPTH

Works on the ledger that the environment names. Prints {} once the queue is filled: one message, accepted as a
door does it, is copied by SQL. Each line on its standard input has ten batches claimed, staged and settled,
and the queue filled up again; it is answered with {"message", "look"}: seconds, the medians of ten.
"""

import json
import statistics
import sys
import time
from dataclasses import replace
from datetime import timedelta

import django

django.setup()

from django.db import connection, transaction  # noqa: E402  once there are settings
from django.utils import timezone  # noqa: E402

from bench.fill import submission  # noqa: E402
from bench.letters import SIZE  # noqa: E402
from vaguemestre.ledger import lanes, leases, queue, rerouting  # noqa: E402
from vaguemestre.ledger.accept import accept  # noqa: E402
from vaguemestre.ledger.claims import Report, Settlement  # noqa: E402
from vaguemestre.ledger.models import Chunk, Delivery, Event, Message  # noqa: E402
from vaguemestre.mail.phase import Phase  # noqa: E402
from vaguemestre.mail.reply import Reply  # noqa: E402
from vaguemestre.mail.state import DeliveryState  # noqa: E402
from vaguemestre.mail.transcript import Step  # noqa: E402

BATCH, BATCHES = 48, 10
CONTENT = b"x" * 256  # of a copied message: nobody reads it, and a million of 4 KiB would only fill the disk
TAKEN = Reply(250, "2.0.0 taken")
STEPS = [
    Step(Phase.MAIL, "MAIL FROM:<office@example.org> SIZE=4500", Reply(250, "2.1.0 ok")).as_json(),
    Step(Phase.RCPT, "RCPT TO:<reader0@example.com>", Reply(250, "2.1.5 ok")).as_json(),
    Step(Phase.DATA, "BDAT 4500 LAST", TAKEN).as_json(),
]


class DeepQueue:
    """Copies of one message, all due on one lane that is ours; the message itself is not due."""

    def __init__(self):
        now = timezone.now()
        self._due = f"'{connection.ops.adapt_datetimefield_value(now)}'"
        self._message = accept(replace(submission(0, SIZE), send_at=now + timedelta(days=1)), now)
        Chunk.objects.filter(message=self._message).update(data=CONTENT)
        self._delivery = Delivery.objects.get(message=self._message)
        self._copies = 0
        self._holder = leases.new_holder()
        (self._lease,) = leases.take(self._holder, now)

    def add(self, number):
        """That many more messages, each with its content, delivery and event."""
        first, self._copies = self._copies + 1, self._copies + number
        span = (first, self._copies)
        message, delivery = self._message.pk, self._delivery.pk
        due = {"message_id": "t.message_id + n", "next_attempt_at": self._due}
        with transaction.atomic():
            _copy(Message, "id", message, span, id="t.id + n", uid=_uuid("n"))
            _copy(Chunk, "message_id", message, span, message_id="t.message_id + n", id=None)
            _copy(Delivery, "id", delivery, span, id="t.id + n", **due)
            _copy(Event, "delivery_id", delivery, span, delivery_id="t.delivery_id + n", id=None)

    def work(self):
        """Seconds that a message took, and a look."""
        leases.take(self._holder, timezone.now())
        found = {
            "message": _seconds(lambda: carry(self._lease, BATCH)) / BATCH,
            "look": _seconds(look),
        }
        self.add(BATCH * BATCHES)
        return found


def _seconds(act):
    """The median of some times."""
    took = []
    for _ in range(BATCHES):
        started = time.perf_counter()
        act()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def look():
    """What a courier asks when it is woken: is anything to be routed anew, and which lanes have work?"""
    rerouting.reroute(timezone.now())
    lanes.survey(timezone.now())


def carry(lease, limit):
    """The ledger's part in sending: claim, stage, settle."""
    claims = queue.claim(lease, limit, timezone.now())
    if len(claims) != limit:
        raise RuntimeError(f"{len(claims)} claims instead of {limit}")
    now = timezone.now()
    staged = queue.record(lease, [claim.mark() for claim in claims], [], now)
    if not all(staged.staged):
        raise RuntimeError("a claim was not staged")
    queue.record(lease, [], [_report(claim, now) for claim in claims], timezone.now())


def _report(claim, now):
    settlements = tuple(Settlement(duty.id, DeliveryState.ACCEPTED, TAKEN) for duty in claim.duties)
    return Report(
        claim=claim, started_at=now, staged_at=now, ended_at=timezone.now(), connection_version=1,
        peer="127.0.0.1:25", tls="", steps=STEPS, settlements=settlements,
    )  # fmt: skip


def _copy(model, key, original, span, **other):
    """One row again for each n of the span; `other` are expressions for columns, None leaves one out."""
    about = model._meta  # noqa: SLF001  documented by Django, in spite of its name
    columns = {field.column: f"t.{field.column}" for field in about.concrete_fields} | other
    columns = {name: text for name, text in columns.items() if text is not None}
    numbers = (
        f"generate_series({span[0]}, {span[1]}) AS numbers(n)"
        if connection.vendor == "postgresql"
        else f"(WITH RECURSIVE c(n) AS (SELECT {span[0]} UNION ALL SELECT n + 1 FROM c WHERE n < {span[1]})"
        " SELECT n FROM c) AS numbers"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {about.db_table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
            f" FROM {about.db_table} AS t, {numbers} WHERE t.{key} = %s ORDER BY n",
            [original],
        )


def _uuid(number):
    if connection.vendor == "postgresql":
        return f"lpad(to_hex({number}), 32, '0')::uuid"
    return f"printf('%%032x', {number})"


def _analyse():
    """As PostgreSQL does by itself within a minute of such a load."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def main():
    filled = DeepQueue()
    filled.add(int(sys.argv[1]))
    _analyse()
    print("{}", flush=True)
    for _ in sys.stdin:
        print(json.dumps(filled.work()), flush=True)


if __name__ == "__main__":
    main()
