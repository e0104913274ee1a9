"""L5 with real processes: what was answered 202 is in the ledger and leaves once, whatever is killed behind it."""

import http.client
import itertools
import os
import signal
import threading
import time
from collections import Counter

import pytest

from system.processes import descendants
from system.product import Product, until
from system.upstream import Upstream

KILLS = 6
THREADS = 6


class Office:
    """Submitters that post as fast as they are answered.

    Attributes:
        answered: id by recipient, of every 202; without an Idempotency-Key nothing is posted twice.
        unanswered: recipients of posts that no answer came to.
        repeated: every id that was answered to a key, by recipient.
    """

    def __init__(self, product):
        self.api = product.api
        self.answered, self.unanswered, self.repeated = {}, set(), {}
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n % 2 == 0,)) for n in range(THREADS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, repeats):
        while not self._over.is_set():
            recipient = f"{'key' if repeats else 'once'}{next(self._numbers)}@example.com"
            if repeats:
                self._insist(recipient)
            else:
                self._post(recipient)
        self.api.close()

    def _post(self, recipient, **headers):
        body = {"to": [recipient], "subject": "Under load", "text": "Good day. " * 100}
        try:
            answer = self.api.ask("POST", "/api/v1/messages", body, **headers)
        except (OSError, http.client.HTTPException):
            self.unanswered.add(recipient)
            time.sleep(0.05)
            return None
        if answer.status == 202:
            self.answered[recipient] = answer.json["id"]
        return answer

    def _insist(self, recipient):
        """Post until it is answered, then once more: the same key, the same answer."""
        ids = self.repeated.setdefault(recipient, [])
        while len(ids) < 2:
            answer = self._post(recipient, Idempotency_Key=recipient)
            if answer is not None and answer.status == 202:
                ids.append(answer.json["id"])
            elif answer is not None:
                assert answer.status in {409, 503}, answer
                time.sleep(0.02)


def wait_for_work(office, product):
    """Until the web process that runs now has answered some posts."""
    until(lambda: product.status("/healthz") == 200, what="an answer")
    before = len(office.answered)
    until(lambda: len(office.answered) >= before + 50, 30, 0.02, what="work of the web process")


def worker_below(pid):
    """The process that serves requests for `vaguemestre web`."""
    return next(iter(descendants(pid)), None)


@pytest.mark.timeout(180)
def test_every_202_is_in_the_ledger_and_leaves_once_though_the_web_process_is_killed(record_property):
    with Upstream() as upstream, Product() as product:
        product.api.connect(upstream)
        with Office(product) as office:
            for _ in range(KILLS):
                wait_for_work(office, product)
                product.kill("web")
            until(lambda: product.status("/readyz") == 200, what="readiness")
        stored = dict(
            product.rows(
                "SELECT d.recipient, m.uid FROM ledger_delivery d JOIN ledger_message m ON m.id = d.message_id"
            )
        )
        for recipient, uid in office.answered.items():
            assert stored[recipient].replace("-", "") == uid.replace("-", ""), recipient
        (counted,) = product.rows("SELECT count(*), count(DISTINCT recipient) FROM ledger_delivery")
        assert counted[0] == counted[1], "one recipient got two messages"
        assert all(len(ids) == 2 and ids[0] == ids[1] for ids in office.repeated.values())
        assert set(stored) - set(office.answered) <= office.unanswered
        assert office.unanswered, "no kill met a request under way"

        until(lambda: upstream.taken >= len(stored), 60, 0.2, what="the last acceptance")
        time.sleep(1)
        assert upstream.by_recipient() == Counter(dict.fromkeys(stored, 1))
        record_property("answered", len(office.answered))
        record_property("unanswered", len(office.unanswered))


def test_a_killed_worker_of_the_web_process_is_replaced():
    with Product() as product:
        worker = until(lambda: worker_below(product.child("web")), what="a worker")
        os.kill(worker, signal.SIGKILL)
        until(lambda: product.status("/healthz") == 200, 20, what="an answer")
        assert worker_below(product.child("web")) != worker
