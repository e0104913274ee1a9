"""How much the courier's memory grows while it sends 50 messages of 25 MiB by 20 sessions.

The growth is its highest resident set (VmHWM, started anew before) less what is resident while it rests. The
next hop is the sink, as fast as it can take them.
"""

from contextlib import ExitStack

from bench.child import Child
from bench.courier import running
from bench.far import CHUNKING, PLAIN
from bench.figures import OURS, Figure, Measure
from bench.ledger import Ledger

SESSIONS = 20
SIZE = 25 * 1024 * 1024 - 4096  # of text: with its header it is the largest that is accepted by default
PATIENCE = 600.0

GROWTH = Measure("Growth of the courier's memory, 50 messages of 25 MiB", "MiB", 0, "≤ 64")
MANNERS = {"DATA": PLAIN, "BDAT": CHUNKING}


def measure(repetitions, messages):
    """A figure for each manner of sending."""
    return [
        Figure(GROWTH, OURS, tuple(_once(extensions, messages) for _ in range(repetitions)), manner)
        for manner, extensions in MANNERS.items()
    ]


def _once(extensions, messages):
    with ExitStack() as opened:
        sink = opened.enter_context(Child("sink", *extensions))
        ledger = opened.enter_context(Ledger(sink.port, SESSIONS))
        ledger.fill(messages, SIZE)
        ledger.connection("pause")
        courier = opened.enter_context(running(ledger))
        courier.until_idle()
        courier.forget_peak()
        before = courier.resident()
        ledger.connection("resume")
        courier.until_accepted(ledger, messages, PATIENCE)
        grown = courier.peak() - before
        _check(sink.ask(), messages)
    return grown / 1024**2


def _check(counts, messages):
    if counts["taken"] != messages or counts["sessions"] < min(SESSIONS, messages):
        raise RuntimeError(f"the sink saw {counts} instead of {messages} messages by {SESSIONS} sessions")
