"""The whole way, durably: 10,000 messages of 4 KiB by 20 kept sessions, smtp-source to smtp-sink.

Ours and other relays take turns, so that the machine's other business meets all. The clock runs from the
start of smtp-source to smtp-sink's last acceptance; every relay begins cold, with no session open. smtp-sink
counts each message once, and afterwards nothing may be left in a relay's queue. Processor time is that of
all its processes until they rest again.
"""

from dataclasses import dataclass

from bench import smtp_source
from bench.family import Family, Peak
from bench.figures import OURS, RELAY, Figure, Measure
from bench.peers.exim import Exim
from bench.peers.haraka import Haraka
from bench.peers.postfix import Postfix
from bench.peers.vaguemestre import Vaguemestre
from bench.smtp_sink import SmtpSink

SESSIONS = 20

WHOLE = Measure(
    f"Relayed durably, {SESSIONS} kept sessions", "messages per second", 0, "≥ 5 × Postfix", RELAY
)
TIMES = Measure("the same in multiples of Postfix's", "", 1, "≥ 5", RELAY)
TAKEN = Measure("Accepted by SMTP in that run", "messages per second", 0, "≥ 4,500", RELAY)
SPENT = Measure("Processor time in that run, all processes", "ms per message", 2, "≤ 0.35", RELAY)
HELD = Measure("Peak memory in that run, all processes (PSS)", "MiB", 0, "≤ 180", RELAY)


@dataclass(frozen=True)
class Run:
    """What one relay did once."""

    whole: float
    taken: float
    spent: float
    held: float


def clients():
    """Everybody, ours included."""
    return [Postfix(), Haraka(), Exim(), Vaguemestre()]


def measure(everybody, repetitions, messages, tell):
    """A figure for each relay and kind; ours in multiples of Postfix's besides."""
    runs = {client.name: [] for client in everybody}
    for _ in range(repetitions):
        for client in everybody:
            run = _once(client, messages)
            runs[client.name].append(run)
            tell(Figure(WHOLE, client.name, (run.whole,)))
    return [
        *_figures(WHOLE, runs, lambda run: run.whole),
        Figure(TIMES, OURS, _multiples(runs)),
        *_figures(TAKEN, runs, lambda run: run.taken),
        *_figures(SPENT, runs, lambda run: run.spent),
        *_figures(HELD, runs, lambda run: run.held),
    ]


def _figures(kind, runs, value):
    return [Figure(kind, name, tuple(map(value, each))) for name, each in runs.items()]


def _multiples(runs):
    pairs = zip(runs[OURS], runs[Postfix.name], strict=True)
    return tuple(ours.whole / theirs.whole for ours, theirs in pairs)


def _once(client, messages):
    messages //= getattr(client, "fewer", 1)
    with (
        SmtpSink() as sink,
        Family() as processes,
        client.relaying(sink.port, messages) as (port, process),
    ):
        processes.take(process.pid)
        processes.until_at_rest()
        used = processes.cpu()
        with Peak(processes) as peak:
            began, ended = smtp_source.submit(port, messages, SESSIONS)
            sink.wait_for(messages)
        processes.until_at_rest()
        spent = processes.cpu() - used
        sink.wait_for(messages)  # and none came twice meanwhile
    return Run(
        messages / (sink.last_at - began),
        messages / (ended - began),
        1000 * spent / messages,
        peak.bytes / 1024**2,
    )
