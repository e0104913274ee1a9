"""Processor time of the courier for a message, and messages a second: 10,000 that wait, to smtp-sink.

The connection is paused until the courier has started and rests, so that its start does not count: processor
time is that from before the first claim to the last settlement, the rate's clock runs from the sink's first
acceptance to the last settlement. The database is asked only when the sink has them all.
"""

import time

from bench.courier import running
from bench.figures import OURS, Figure, Measure
from bench.ledger import Ledger
from bench.letters import SIZE
from bench.smtp_sink import SmtpSink

SESSIONS = 20
PATIENCE = 60.0  # seconds for the last settlements, once the sink has all

SPENT = Measure("Processor time of the courier per message", "ms", 3, "≤ 0.3")
RATE = Measure(f"Messages recorded by the courier, {SESSIONS} sessions", "per second", 0)


def measure(repetitions, messages):
    """Both figures."""
    runs = [_once(messages) for _ in range(repetitions)]
    spent, rate = zip(*runs, strict=True)
    return [Figure(SPENT, OURS, spent), Figure(RATE, OURS, rate)]


def _once(messages):
    with SmtpSink() as sink, Ledger(sink.port, SESSIONS) as ledger:
        ledger.fill(messages, SIZE)
        ledger.connection("pause")
        with running(ledger) as courier:
            courier.until_idle()
            used = courier.cpu()
            ledger.connection("resume")
            sink.wait_for(messages)
            courier.until_accepted(ledger, messages, PATIENCE)
            spent, ended = courier.cpu() - used, time.monotonic()
    return 1000 * spent / messages, messages / (ended - sink.first_at)
