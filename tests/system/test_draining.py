"""SIGTERM under load: what is under way ends, the rest waits, nothing is in doubt."""

import contextlib
import http.client
import smtplib
import threading
from collections import Counter

import pytest

from system.databases import sqlite_first
from system.killing import terminated
from system.processes import descendants, parent_of
from system.product import GRACE, Product, until
from system.upstream import Upstream

MESSAGES = 200


def test_sigterm_under_load_drains_within_thirty_seconds_and_leaves_no_doubt(record_property):
    over = threading.Event()
    answered, taken_over = [], []
    with Upstream(delay=1.5) as upstream, Product() as product:
        product.api.connect(upstream)
        batch = [{"to": [f"queued{n}@example.com"], "text": "Good day."} for n in range(MESSAGES)]
        product.api.post("/messages/batch", {"messages": batch}, status=202)

        def post(n):
            with contextlib.suppress(OSError, http.client.HTTPException):
                for number in range(1000):
                    body = {"to": [f"api{n}.{number}@example.com"], "text": "Good day."}
                    if product.api.ask("POST", "/api/v1/messages", body).status == 202:
                        answered.append(body["to"][0])
                    if over.is_set():
                        break
            product.api.close()

        def submit(n):
            with contextlib.suppress(OSError, smtplib.SMTPException):
                for number in range(1000):
                    with smtplib.SMTP("127.0.0.1", product.submission_port, timeout=30) as session:
                        session.login("app", product.key)
                        to = f"smtp{n}.{number}@example.com"
                        session.sendmail("app@example.org", [to], "Subject: Hello\r\n\r\nGood day.\r\n")
                        taken_over.append(to)
                    if over.is_set():
                        break

        threads = [threading.Thread(target=work, args=(n,)) for n in range(3) for work in (post, submit)]
        for thread in threads:
            thread.start()
        until(
            lambda: upstream.taken >= 9 and len(answered) > 20 and len(taken_over) > 20,
            within=60,
            what="load",
        )
        took = product.stop()
        over.set()
        for thread in threads:
            thread.join()

        states = dict(product.rows("SELECT state, count(*) FROM ledger_delivery GROUP BY state"))
        assert set(states) == {"accepted", "queued"}, states
        assert product.rows("SELECT count(*) FROM ledger_event WHERE state = 'in_doubt'") == [(0,)]
        stored = dict(product.rows("SELECT recipient, state FROM ledger_delivery"))
        assert set(answered) | set(taken_over) <= set(stored)
        accepted = {recipient for recipient, state in stored.items() if state == "accepted"}
        assert upstream.by_recipient() == Counter(dict.fromkeys(accepted, 1))
        record_property("seconds", round(took, 2))
        record_property("left queued", states["queued"])
        assert took < 15, f"{took:.1f} s, for an upstream that takes 1.5 s"
        assert "Traceback" not in product.logs()


def test_the_next_start_sends_the_rest_once():
    with Upstream(delay=0.3) as upstream, Product() as product:
        product.api.connect(upstream)
        batch = [{"to": [f"queued{n}@example.com"], "text": "Good day."} for n in range(30)]
        product.api.post("/messages/batch", {"messages": batch}, status=202)
        until(lambda: upstream.taken >= 5, what="work")
        product.stop()
        first = upstream.taken
        assert first < 30
        product.start()
        until(lambda: upstream.taken >= 30, 30, what="the rest")
        assert set(upstream.by_recipient().values()) == {1}


def test_children_die_with_a_killed_up_and_the_next_one_carries_on():
    with Upstream() as upstream, Product() as product:
        product.api.connect(upstream)
        family = descendants(product.running.pid)
        assert len(family) >= 3
        product.running.kill()
        product.running.wait()
        until(lambda: all(parent_of(pid) is None for pid in family), GRACE, what="the children's end")
        product.start()
        product.api.close()
        product.until_state(product.api.send()["id"], "accepted")


@sqlite_first
@pytest.mark.timeout(300)
def test_five_sigterms_of_the_courier_leave_nothing_in_doubt_and_lose_nothing(database):
    told = terminated(database, times=5, longest=4, seed=5, within=60)
    print(told)  # noqa: T201  shown with -rP
    assert (told["states"], told["doubts"]) == ({"accepted": told["messages"]}, 0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_sigterms_of_the_courier_leave_nothing_in_doubt_and_lose_nothing(database):
    told = terminated(database, times=50, longest=15, seed=50, within=300)
    print(told)  # noqa: T201  shown with -rP
    assert (told["states"], told["doubts"]) == ({"accepted": told["messages"]}, 0)
