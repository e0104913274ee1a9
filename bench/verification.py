"""From the click on *Verify connection* to its result, at a healthy server 50 ms away, in round trips.

The whole product is asked over its API, as the form asks it; the time is that of the whole answer. The
server wants a login, and is a sink of the tests behind the proxy, so that the first piece is TCP's handshake
and the last QUIT's reply; looking up a name is not in it, since there is none to look up.
"""

import time

from bench import installed
from bench.child import Child
from bench.figures import OURS, Figure, Measure
from bench.letters import SENDER
from bench.round_trips import RTT
from scripted.sink import SinkServer
from system.product import Product

LOGIN = {"login": "app", "password": "kanarienvogel-7Q"}
WAYS = {"starttls": "TLS", "ssl": "SSL"}  # as the form calls them

TRIPS = Measure("Verification of a server at 50 ms, round trips from click to result", "", 1, "≤ 12")


def measure(repetitions, verifications):
    """A figure for each encryption: the mean of some verifications, in each repetition."""
    return [
        Figure(TRIPS, OURS, _repeated(encryption, repetitions, verifications), how)
        for encryption, how in WAYS.items()
    ]


def _repeated(encryption, repetitions, verifications):
    with (
        SinkServer(encryption=encryption, **LOGIN).in_thread() as sink,
        Child("delay", sink.port, RTT) as proxy,
        _running() as product,
    ):
        values = {"host": "127.0.0.1", "port": proxy.port, "encryption": encryption, "sender_email": SENDER}
        _verified(product, values)  # the first reads the system's authorities
        return tuple(
            sum(_verified(product, values) for _ in range(verifications)) / verifications / RTT
            for _ in range(repetitions)
        )


def _running():
    product = Product()
    product.command = installed.COMMAND
    return product


def _verified(product, values):
    """Seconds."""
    started = time.monotonic()
    answer = product.api.post("/connections/verify", values | LOGIN)
    took = time.monotonic() - started
    if not answer["ok"]:
        raise RuntimeError(f"the verification found {answer['findings'][0]['code']}")
    return took
