"""What claiming and settling a message costs with 1,000 and with 1,000,000 queued, and what a look costs.

On both databases, the depths taking turns, so that the machine's other business meets both. The cost is the
time that a message takes of the ledger's three steps: its part of a claim, of the commit that stages it and
of the one that records it, 48 messages at a time, every commit fsynced. A look is what the courier asks ten
times a second. PostgreSQL is a cluster of our own, run by an unprivileged user.
"""

from contextlib import ExitStack

from bench.child import Child
from bench.figures import OURS, Figure, Measure
from bench.ledger import Ledger
from cluster.postgresql import new_database

SHALLOW, DEEP = 1_000, 1_000_000
NOBODY = 9  # a port: nothing is ever dialled


def measure(repetitions, deep=DEEP):
    """For each database the cost at both depths, and their ratio."""
    return [*_measured("SQLite", repetitions, deep), *_measured("PostgreSQL", repetitions, deep)]


def _measured(database, repetitions, deep):
    with ExitStack() as opened:
        queues = [_queue(opened, database, depth) for depth in (SHALLOW, deep)]
        for queue in queues:
            queue.ask()  # what is not in memory yet is read now
        runs = [[queue.ask() for queue in queues] for _ in range(repetitions)]
    ratio = Measure(f"Claim and settle, {deep:,} queued against {SHALLOW:,}", "ratio", 2, "≤ 1.3")
    cost = Measure(f"Claim and settle, {deep:,} queued", "ms per message", 3)
    look = Measure(f"A look for work, {deep:,} queued", "ms", 2)
    ratios = tuple(there["message"] / here["message"] for here, there in runs)
    return [
        Figure(ratio, OURS, ratios, database),
        Figure(cost, OURS, tuple(1000 * there["message"] for _, there in runs), database),
        Figure(look, OURS, tuple(1000 * there["look"] for _, there in runs), database),
    ]


def _queue(opened, database, depth):
    url = opened.enter_context(new_database()) if database == "PostgreSQL" else ""
    ledger = opened.enter_context(Ledger(NOBODY, sessions=1, database_url=url))
    return opened.enter_context(Child("deep_queue", depth, environment=ledger.environment))
