"""D6 with real processes: the server says 250, the database is gone, the courier is killed; then it all comes back."""

from __future__ import annotations

import json
import threading
from urllib.parse import urlsplit

import pytest

from cluster.postgresql import administer
from scripted.sink import Answer, SinkServer
from system.product import Product, until

FIRST, REST = "first@example.com", 12


def gone(name):
    """Nobody gets at the database, and whoever was at it is thrown out."""
    administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    administer(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@pytest.mark.slow
@pytest.mark.needs("pg_ctlcluster")
@pytest.mark.timeout(180)
def test_d6_what_was_accepted_while_the_database_was_gone_is_known_behind_a_kill_and_comes_first():
    asked, may_answer = threading.Event(), threading.Event()

    def content(moment):
        if FIRST not in moment.recipients:
            return None
        asked.set()
        may_answer.wait(30)  # the whole server waits: there is nobody else yet
        return Answer("250 2.0.0 taken")

    with (
        SinkServer(hooks={"content": content}).in_thread() as one,
        Product(database="postgresql") as product,
    ):
        database = urlsplit(product.environment["DATABASE_URL"]).path.lstrip("/")
        product.api.connect(one, name="one", sender_email="one@example.org", limits={"max_sessions": 1})
        first = product.api.send(to=[FIRST], connection="one")["id"]
        assert asked.wait(30)
        rest = [product.api.send(to=[f"r{n}@example.com"], connection="one")["id"] for n in range(REST)]
        product.api.close()
        gone(database)
        may_answer.set()
        kept = product.data / "outcomes"
        until(lambda: any(path.read_bytes().strip(b"\0") for path in kept.iterdir()), what="what is kept")
        killed = product.kill("courier")
        until(lambda: product.child("courier") not in {None, killed}, what="the next courier")
        administer(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        for uid in (first, *rest):
            product.until_state(uid, "accepted", within=60)
        events = product.rows("SELECT CAST(detail AS TEXT) FROM ledger_event ORDER BY id")
        logs = product.logs()
    codes = [json.loads(detail)["code"] for (detail,) in events]
    # What the server had is told first, then what the dead courier held and never sent is queued again.
    behind = codes[1 + REST :]
    assert behind[0] == "evidence"
    assert behind == sorted(behind, key=["evidence", "put_back", "attempt"].index)
    assert behind.count("attempt") == REST
    replayed = logs.index("outcomes_replayed")
    assert "lane_taken" not in logs[logs.rindex("process_ended", 0, replayed) : replayed]
    assert [taken.recipients for taken in one.accepted].count((FIRST,)) == 1
    assert len(one.accepted) == 1 + REST
