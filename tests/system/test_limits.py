"""Limits with real processes: the courier is killed, told to end, and started again; no server sees more for it."""

from __future__ import annotations

import os
import signal

import pytest

from system.processes import parent_of
from system.product import GRACE, Product, until
from system.upstream import PIPELINING, Upstream

PER_MINUTE, PER_DAY = 12, 15
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)


def ended(product, number):
    """End the courier; `up` starts the next one at once."""
    pid = until(lambda: product.child("courier"), what="a running courier")
    os.kill(pid, number)
    until(lambda: parent_of(pid) is None, GRACE, 0.02, what="its end")
    until(lambda: product.child("courier") not in {None, pid}, what="the next courier")


def exhausted(product, *messages):
    """Whether a limit is what each of these waits for."""
    found = [delivery for uid in messages for delivery in product.message(uid)["deliveries"]]
    return all(one["outlook"]["code"] == "limit_reached" for one in found if one["state"] == "queued")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_neither_kill_nor_sigterm_lets_a_server_see_more_than_a_minute_and_a_day_allow(database):
    """All of it within a minute of the first message: what a killed courier had out counts as seen."""
    minutely = Upstream(keywords=PIPELINING, delay=0.15)
    daily = Upstream(keywords=PIPELINING, delay=0.15)
    with minutely, daily, Product(database=database) as product:
        for name, upstream, limits in [
            ("Minutely", minutely, {"per_minute": PER_MINUTE, "max_sessions": 1}),
            ("Daily", daily, {"per_day": PER_DAY, "max_sessions": 1}),
        ]:
            product.api.connect(
                upstream, name=name, sender_email=f"{name}@example.org".lower(), limits=limits
            )
        posted = [
            product.api.send(
                to=[f"{number}{one}@example.com" for one in "ab"], connection=name, on_doubt="hold"
            )["id"]
            for number in range(PER_MINUTE + 4)
            for name in ("Minutely", "Daily")
        ]
        for number in ENDS:
            before = minutely.taken, daily.taken
            until(lambda: (minutely.taken, daily.taken) != before, what="work")  # noqa: B023  asked here alone
            ended(product, number)
        until(lambda: exhausted(product, *posted), what="the limits")
        entries = {"minutely": minutely.entries(), "daily": daily.entries()}
        doubts = product.rows("SELECT count(*) FROM ledger_delivery WHERE state = 'in_doubt'")[0][0]
        print({name: len(found) for name, found in entries.items()}, "in doubt", doubts)  # noqa: T201
    recipients = sum(len(entry["recipients"]) for entry in entries["daily"])
    # Killed twice, with one message on the wire each time: it counts, whether the server saw it or not.
    assert PER_MINUTE - 2 <= len(entries["minutely"]) <= PER_MINUTE
    assert PER_DAY - 4 <= recipients <= PER_DAY
    assert entries["minutely"][-1]["at"] < entries["minutely"][0]["at"] + 60
