"""Batches of 1,000 by one client, each fsynced before its 202: ours, beside Django's bare `bulk_create`.

Ours is HTTP, JSON, checks, routing and a row for each message in several tables; Django's is one row for each
message in one table, by a program that has the values already. The connection is paused, as for single posts.
"""

from bench.figures import OURS, RELAY, Figure, Measure
from bench.peers import django_alone
from bench.posting import BATCH, post
from bench.whole import expect, paused

FIRST = 2  # batches that do not count

RATE = Measure(f"Posted in batches of {BATCH:,}, one client", "messages per second", 0, "", RELAY)
TIMES = Measure("the same in multiples of a bare bulk_create's rows", "", 2, "≥ 0.8", RELAY)


def measure(repetitions, messages):
    """Ours and Django's, taking turns."""
    batches = messages // BATCH
    runs = [(messages / django_alone.bulk(batches), _by_vaguemestre(batches)) for _ in range(repetitions)]
    theirs, ours = zip(*runs, strict=True)
    return [
        Figure(RATE, django_alone.NAME, theirs),
        Figure(RATE, OURS, ours),
        Figure(TIMES, OURS, tuple(mine / other for other, mine in runs)),
    ]


def _by_vaguemestre(batches):
    with paused() as product:
        post(product.web_port, product.key, batchers=1, batches=FIRST)
        posted = post(product.web_port, product.key, batchers=1, batches=batches)
        expect(product, "queued", (FIRST + batches) * BATCH)
    return batches * BATCH / posted.seconds
