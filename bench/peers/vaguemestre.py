"""Ours, for the measures that have peers: the courier process alone, with a connection of one session."""

from contextlib import contextmanager
from importlib.metadata import version

from bench.courier import running
from bench.ledger import Ledger
from bench.letters import SIZE


class Vaguemestre:
    """From this checkout."""

    name = "Vaguemestre"
    on_disk = True

    def made_ready(self):
        return version("vaguemestre")

    @contextmanager
    def sending(self, port, messages):
        with Ledger(port, sessions=1) as ledger:
            ledger.fill(messages, SIZE)
            with running(ledger) as courier:
                yield courier.process
