"""The whole product, started as its users start it, with a connection that leads to a hop of the bench."""

from contextlib import contextmanager

from bench import installed
from bench.letters import SENDER
from system.product import Product

CONNECTION = "bench"
NOBODY = 9  # a port


@contextmanager
def whole(next_hop, sessions):
    """`vaguemestre up` on the embedded database; this machine may submit without signing in."""
    product = Product(VAGUEMESTRE_SUBMISSION_TRUST="127.0.0.0/8")
    product.command = installed.COMMAND
    with product:
        server = ("--host", "127.0.0.1", "--port", next_hop, "--encryption", "none")
        limits = ("--max-sessions", sessions)
        product.run("connection", "add", CONNECTION, "--sender-email", SENDER, *server, *limits)
        yield product


@contextmanager
def paused():
    """The same with deliveries that wait: nothing is dialled. Its key only sends, as an application's."""
    with whole(NOBODY, 1) as product:
        product.run("connection", "pause", CONNECTION)
        product.key = product.new_key("send")
        yield product


def expect(product, state, deliveries):
    """Raises where the ledger's deliveries are not so many, all in this state."""
    found = product.rows("SELECT state, count(*) FROM ledger_delivery GROUP BY state")
    if found != [(state, deliveries)]:
        raise RuntimeError(f"the ledger has {found} instead of {deliveries} deliveries {state}")
