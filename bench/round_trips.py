"""Round trips per message over one session to a far server: from the first SYN until the last 250 was read.

The clients take turns. One that does nothing but wait has its repetitions run beside each other, each with a
far server of its own; those that keep a queue on the disk run alone.
"""

from concurrent.futures import ThreadPoolExecutor

from bench.far import CHUNKING, PLAIN, FarServer
from bench.figures import Figure, Measure
from bench.peers.exim import Exim
from bench.peers.loops import Loop
from bench.peers.nodemailer import Nodemailer
from bench.peers.postfix import Postfix
from bench.peers.vaguemestre import Vaguemestre

RTT = 0.05  # seconds
WORST = 12  # round trips per message that are waited for, and some seconds for the start

PIPELINED = Measure("Round trips per message, one session at 50 ms, PIPELINING", "", 2, "≤ 1.1")
CHUNKED = Measure("the same with CHUNKING", "", 2, "≤ 0.15")


def clients():
    """Everybody, ours included."""
    return [
        Loop("Django's backend", "django"),
        Loop("aiosmtplib", "aiosmtplib"),
        Loop("smtplib", "smtplib"),
        Postfix(),
        Exim(),
        Nodemailer(),
        Vaguemestre(),
    ]


def measure(everybody, repetitions, messages, tell):
    """A figure for each client against each kind of server."""
    figures = []
    for kind, extensions in ((PIPELINED, PLAIN), (CHUNKED, CHUNKING)):
        for client in everybody:
            at_once = 1 if client.on_disk else repetitions
            figure = Figure(kind, client.name, _repeated(client, extensions, repetitions, messages, at_once))
            tell(figure)
            figures.append(figure)
    return figures


def _repeated(client, extensions, repetitions, messages, at_once):
    with ThreadPoolExecutor(at_once) as threads:
        runs = [threads.submit(_once, client, extensions, messages) for _ in range(repetitions)]
        return tuple(run.result() for run in runs)


def _once(client, extensions, messages):
    with FarServer(RTT, extensions) as far, client.sending(far.port, messages) as process:
        far.wait_for(messages, process, WORST * RTT * messages + 30)
        return far.round_trips() / messages
