"""Messages a second from the first acceptance by the API to the last by smtp-sink, beside loops of smtplib.

The product's own processes on the embedded database, every message fsynced before its 202. The loops send the
same messages, composed beforehand: with a session for each, as Django's backend does, and with one kept.
"""

import http.client
import itertools
import json
import smtplib
import threading
import time

from bench.figures import OURS, RELAY, Figure, Measure
from bench.letters import SENDER, composed, recipient_of, text_of
from bench.smtp_sink import SmtpSink
from system.product import Product, until

CLIENTS, SESSIONS = 8, 20

WHOLE = Measure("From the API to the next hop", "messages per second", 0, part=RELAY)
INTAKE = Measure(f"Accepted by the API meanwhile, {CLIENTS} clients", "messages per second", 0, part=RELAY)


def measure(repetitions, messages):
    """Ours and both loops."""
    runs = [_by_vaguemestre(messages) for _ in range(repetitions)]
    whole, intake = zip(*runs, strict=True)
    kept = tuple(_by_smtplib(messages, kept=True) for _ in range(repetitions))
    each = tuple(_by_smtplib(messages, kept=False) for _ in range(repetitions))
    return [
        Figure(WHOLE, "smtplib", kept, "one session"),
        Figure(WHOLE, "smtplib", each, "a session each"),
        Figure(WHOLE, OURS, whole),
        Figure(INTAKE, OURS, intake),
    ]


def _by_smtplib(messages, *, kept):
    raws = [composed(number) for number in range(messages)]
    with SmtpSink() as sink:
        started = time.monotonic()
        if kept:
            with smtplib.SMTP("127.0.0.1", sink.port) as session:
                for number, raw in enumerate(raws):
                    session.sendmail(SENDER, [recipient_of(number)], raw)
        else:
            for number, raw in enumerate(raws):
                with smtplib.SMTP("127.0.0.1", sink.port) as session:
                    session.sendmail(SENDER, [recipient_of(number)], raw)
        sink.wait_for(messages)
        return messages / (sink.last_at - started)


def _by_vaguemestre(messages):
    """Its whole way, and its intake alone."""
    with SmtpSink() as sink, Product() as product:
        limits = {"max_sessions": SESSIONS}
        product.api.connect(sink, sender_email=SENDER, encryption="none", limits=limits)
        answered = Submitters(product, messages).run()
        sink.wait_for(messages)
        whole, intake = sink.last_at - min(answered), max(answered) - min(answered)
        accepted = "SELECT count(*) FROM ledger_delivery WHERE state = 'accepted'"
        until(lambda: product.rows(accepted) == [(messages,)], 30, what="the last record")
    return messages / whole, messages / intake


class Submitters:
    """Threads that post, each over an HTTP connection that it keeps."""

    def __init__(self, product, messages):
        self._product, self._text, self._messages = product, text_of(), messages
        self._numbers = itertools.count()
        self._answered = []

    def run(self):
        """When each 202 was read."""
        threads = [threading.Thread(target=self._post) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(self._answered) != self._messages:
            raise RuntimeError(f"the API accepted {len(self._answered)} messages of {self._messages}")
        return self._answered

    def _post(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._product.web_port, timeout=60)
        for number in iter(lambda: next(self._numbers), None):
            if number >= self._messages:
                break
            self._post_one(connection, number)
        connection.close()

    def _post_one(self, connection, number):
        headers = {"Authorization": f"Bearer {self._product.key}", "Content-Type": "application/json"}
        body = {"to": [recipient_of(number)], "subject": f"Message {number}", "text": self._text}
        connection.request("POST", "/api/v1/messages", json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 202:
            raise RuntimeError(f"the API answered {answer.status}: {content[:500]!r}")
        self._answered.append(time.monotonic())
