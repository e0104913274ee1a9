"""Liveness, readiness, and what 250 and 202 stand for."""

import sqlite3
import threading
import time
from contextlib import closing

from system.doors import by_smtp
from system.letters import a_plain_letter
from system.product import Product, until


def test_ready_means_that_a_courier_is_there_and_alive_that_the_web_answers():
    with Product() as product:
        assert (product.status("/healthz"), product.status("/readyz")) == (200, 200)
        seen = set()
        killed = product.kill("courier")

        def back():
            seen.add((product.status("/healthz"), product.status("/readyz")))
            return product.child("courier") not in {None, killed} and (200, 503) in seen

        until(back, 10, 0.01, what="not ready without a courier, and another courier")
        until(lambda: product.status("/readyz") == 200, 10, what="readiness with the new courier")
        assert {health for health, _ in seen} == {200}


def test_it_is_ready_without_administrator_and_connection_and_all_children_are_named():
    with Product() as product:
        assert product.rows("SELECT count(*) FROM ledger_user") == [(0,)]
        assert product.api.get("/connections")["items"] == []
        pids = {name: product.child(name) for name in ("web", "submission", "courier")}
        assert all(pids.values()), pids
        assert len(set(pids.values())) == 3


def test_250_comes_only_after_the_commit(product):
    for n in range(30):
        uid = by_smtp(product, a_plain_letter(f"commit {n}"))
        # By another process's connection to the database, the moment the reply was read.
        assert product.rows("SELECT count(*) FROM ledger_message WHERE uid = ?", uid.replace("-", "")) == [
            (1,)
        ]


def test_neither_250_nor_202_comes_while_nothing_can_be_committed(product):
    answers = {}

    def submit():
        answers["smtp"] = by_smtp(product, a_plain_letter("locked out"))

    def post():
        answers["api"] = product.api.send()["id"]
        product.api.close()

    by_smtp(product, a_plain_letter("before"))  # the key's last use is written at most once a minute
    with closing(sqlite3.connect(product.data / "vaguemestre.sqlite3", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        threads = [threading.Thread(target=work) for work in (submit, post)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        assert answers == {}
        database.execute("ROLLBACK")
    for thread in threads:
        thread.join(20)
    assert set(answers) == {"smtp", "api"}
