"""How many messages a second the sink takes from a client that does not wait: it must be no bottleneck."""

import socket
import threading
import time

from bench.child import Child
from bench.far import CHUNKING
from bench.letters import SENDER, composed, recipient_of

LEAST = 10_000  # messages a second
MESSAGES, GROUP = 20_000, 50


def check():
    """Its rates with DATA and with BDAT.

    Raises:
        RuntimeError: it is too slow for the bench to mean anything on this machine.
    """
    raw = composed(0)
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{recipient_of(0)}>\r\n".encode()
    rates = {
        "DATA": _rate(envelope + b"DATA\r\n" + raw + b".\r\n"),
        "BDAT": _rate(envelope + b"BDAT %d LAST\r\n" % len(raw) + raw),
    }
    if min(rates.values()) < LEAST:
        raise RuntimeError(f"the bench's own sink takes too few messages a second on this machine: {rates}")
    return rates


def _rate(transaction):
    with Child("sink", *CHUNKING) as sink, socket.create_connection(("127.0.0.1", sink.port)) as session:
        reader = threading.Thread(target=_read_all, args=[session])
        reader.start()
        started = time.monotonic()
        for _ in range(MESSAGES // GROUP):
            session.sendall(transaction * GROUP)
        session.sendall(b"QUIT\r\n")
        reader.join()
        counts = sink.ask()
        if counts["taken"] != MESSAGES:
            raise RuntimeError(f"the bench's own sink took {counts['taken']} messages of {MESSAGES}")
        return round(MESSAGES / (counts["last_at"] - started))


def _read_all(session):
    while session.recv(1 << 20):
        pass
