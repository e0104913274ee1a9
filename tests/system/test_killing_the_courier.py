"""L6 with real processes: the courier is killed again and again; nothing is lost, nothing doubled silently."""

import random
import time
from collections import Counter

import pytest

from system.product import Product, until
from system.upstream import Upstream

KILLS = 20
DOUBT_DELAY = 2.0  # seconds
# The upstream takes 0.1 s for each, on 2 x 3 sessions: about 60 a second, for the up to 60 s of work of 20 kills.
EACH = 1400
DELAY = 0.1


def post(product, kind, on_doubt):
    """`EACH` messages, one recipient each, in batches."""
    for start in range(0, EACH, 700):
        batch = [
            {
                "to": [f"{kind}{n}@example.com"],
                "subject": f"{kind} {n}",
                "text": "Good day.",
                "on_doubt": on_doubt,
                "connection": kind,
            }
            for n in range(start, start + 700)
        ]
        answer = product.api.post("/messages/batch", {"messages": batch}, status=202)
        assert len(answer["results"]) == 700


def deliveries(product):
    """State, doubts and recorded events of doubt, by recipient."""
    rows = product.rows(
        "SELECT d.recipient, d.state, d.doubts, d.next_attempt_at IS NOT NULL,"
        " (SELECT count(*) FROM ledger_event e WHERE e.delivery_id = d.id AND e.state = 'in_doubt')"
        " FROM ledger_delivery d"
    )
    return {recipient: row for recipient, *row in rows}


def at_rest(product):
    """Whether nothing happens any more without a person."""
    waiting = "state IN ('queued', 'claimed') OR (state = 'in_doubt' AND next_attempt_at IS NOT NULL)"
    (left,) = product.rows(f"SELECT count(*) FROM ledger_delivery WHERE {waiting}")
    return left == (0,)


def work_for(product, upstream, seconds, old):
    """Until another courier has been at work for so long."""
    until(lambda: product.child("courier") not in {None, old}, what="another courier")
    before = upstream.taken
    until(lambda: upstream.taken > before, 20, 0.02, what="work of the new courier")
    time.sleep(seconds)


@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_doubled_without_doubt_by_twenty_kills(record_property):
    dice = random.Random(20)
    with (
        Upstream(delay=DELAY) as upstream,
        Product(VAGUEMESTRE_DOUBT_DELAY=str(DOUBT_DELAY)) as product,
    ):
        product.api.connect(upstream, name="retry", sender_email="retry@example.org", active=False)
        product.api.connect(upstream, name="hold", sender_email="hold@example.org", active=False)
        post(product, "retry", "retry")
        post(product, "hold", "hold")
        for name in ("retry", "hold"):
            product.run("connection", "activate", name)

        killed, worked = None, 0
        for _ in range(KILLS):
            work_for(product, upstream, dice.uniform(1, 3), killed)
            worked += not at_rest(product)
            killed = product.kill("courier")
        assert worked == KILLS, "the work did not outlast the kills"

        until(lambda: at_rest(product), 120, 0.5, what="the end of the work")
        taken, recorded = upstream.by_recipient(), deliveries(product)
        assert len(recorded) == 2 * EACH
        for recipient, (state, doubts, _, told) in recorded.items():
            assert state in {"accepted", "in_doubt"}, (recipient, state)
            assert doubts <= told
            # Each doubt may have been an acceptance, and explains one more copy at most.
            most = doubts + (state == "accepted")
            least = 1 if state == "accepted" else 0
            assert least <= taken[recipient] <= most, (recipient, state, doubts, taken[recipient])
        holding = {recipient: row for recipient, row in recorded.items() if recipient.startswith("hold")}
        assert max(taken[recipient] for recipient in holding) == 1
        doubtful = Counter((recipient[:4], state) for recipient, (state, *_) in recorded.items())
        assert doubtful["hold", "in_doubt"] > 0, "the kills met nothing between the dot and its reply"

        # A person ends what is left, and then everybody has their mail.
        left = product.api.get("/messages?state=in_doubt&limit=200")["items"]
        for message in left:
            product.api.post(f"/messages/{message['id']}/resolve", {"outcome": "send_again"})
        until(lambda: at_rest(product), 30, 0.2, what="the end of what was resolved")
        assert set(upstream.by_recipient()) == set(recorded)
        assert {state for state, *_ in deliveries(product).values()} == {"accepted"}
        record_property("doubts", sum(told for *_, told in recorded.values()))
        record_property("resolved by a person", len(left))
