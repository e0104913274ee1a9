"""U28 with real processes: lanes that are stuck, with a queue and all their sessions, slow no other."""

import contextlib
import random
import time

from scripted.sink import Answer, SinkServer
from system.databases import sqlite_first
from system.product import Product, until
from system.upstream import CHUNKING, Upstream

STUCK = 20.0  # seconds for each reply
QUEUED = 300  # for each stuck server
SESSIONS = 10
MESSAGES = 50
SECONDS = 25.0
REPLIES = {
    "greeting": {"greeting": "220 mx.example.net ESMTP", "ehlo": "250-mx.example.net\r\n250 PIPELINING"},
    "transaction": {
        "mail": "250 2.1.0 ok",
        "rcpt": "250 2.1.5 ok",
        "data": "354 go on",
        "content": "250 2.0.0 taken",
    },
}


def tarpit(replies):
    """A server that takes its time for these."""
    hooks = {phase: lambda _, reply=reply: Answer(reply, delay=STUCK) for phase, reply in replies.items()}
    return SinkServer(hooks=hooks, keywords=tuple(CHUNKING.split(",")))


def crowd(product, stuck):
    """All sessions of the stuck lanes are waiting for a reply, and more waits for them."""
    for name, sink in stuck.items():
        product.api.connect(
            sink, name=name, sender_email=f"{name}@example.org", limits={"max_sessions": SESSIONS}
        )
        messages = [
            {"to": [f"{n}@example.net"], "text": "Good day.", "connection": name} for n in range(QUEUED)
        ]
        product.api.post("/messages/batch", {"messages": messages}, status=202)
    begun = stuck["transaction"].commands
    until(
        lambda: (
            len({session for session, line in list(begun) if line.startswith("MAIL")}) == SESSIONS
            and all(sink.open_sessions == SESSIONS for sink in stuck.values())
        ),
        30,
        what="sessions that are all stuck",
    )


def seconds_to_the_next_hop(product, upstream):
    """From each message's acceptance to its taking by the server, in order of length."""
    dice, accepted = random.Random(6), {}
    begun = time.time()
    for number in range(MESSAGES):
        time.sleep(max(0.0, begun + (number + dice.random()) * SECONDS / MESSAGES - time.time()))
        recipient = f"{number}@example.com"
        product.api.send(to=[recipient], connection="swift")
        accepted[recipient] = time.time()
    until(lambda: upstream.taken >= MESSAGES, 30, what="the last arrival")
    return sorted(entry["at"] - accepted[entry["recipients"][0]] for entry in upstream.entries())


@sqlite_first
def test_u28_stuck_lanes_with_a_queue_and_all_their_sessions_slow_no_other(database):
    with contextlib.ExitStack() as things:
        product = things.enter_context(Product(database=database))
        upstream = things.enter_context(Upstream())
        stuck = {name: things.enter_context(tarpit(REPLIES[name]).in_thread()) for name in REPLIES}
        product.api.connect(upstream, name="swift", sender_email="swift@example.org")
        crowd(product, stuck)
        took = seconds_to_the_next_hop(product, upstream)
        assert all(sink.open_sessions == SESSIONS for sink in stuck.values())
        median, p95 = took[MESSAGES // 2], took[MESSAGES * 95 // 100]
        print(f"median {median:.3f} s, p95 {p95:.3f} s, longest {took[-1]:.3f} s")  # noqa: T201  shown with -rP
        assert p95 < 1.0, took
