"""Ours, for the measures that have peers.

To send, the courier process alone, with a connection of one session; to relay, all that `vaguemestre up`
starts, with a connection of twenty.
"""

from contextlib import contextmanager
from importlib.metadata import version

from bench.courier import running
from bench.ledger import Ledger
from bench.letters import SIZE
from bench.whole import expect, whole
from system.product import until

SESSIONS = 20
RECORDED = "SELECT count(*) FROM ledger_delivery WHERE state <> 'accepted'"


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

    @contextmanager
    def relaying(self, port, messages):
        with whole(port, SESSIONS) as product:
            yield product.submission_port, product.running
            until(lambda: product.rows(RECORDED) == [(0,)], 20, what="the last record")
            expect(product, "accepted", messages)
