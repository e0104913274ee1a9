"""Ends of the courier while it works before servers of three kinds, and the account of every message behind.

Half of the connections retry what is in doubt, half hold it. The servers log what they accepted before they
answer, and lose some of their final replies.
"""

import contextlib
import os
import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from system.processes import parent_of
from system.product import GRACE, Product, until
from system.upstream import KINDS, Upstream

POLICIES = ("retry", "hold")
HEAD = 500  # messages that wait from the beginning, at most; the others come as it goes on
DOUBT_DELAY = 2.0  # seconds
LOSS = 0.02  # of the final replies
# A session takes some 0.12 s for a message; 12 of them about 100 a second.
SPEED = {"delay": 0.04, "jitter": 0.16}
SLOW = {"delay": 0.5, "jitter": 1.5}

_DELIVERIES = """
SELECT d.recipient, d.state, d.doubts, d.next_attempt_at IS NOT NULL,
  (SELECT count(*) FROM ledger_event e
   WHERE e.delivery_id = d.id AND e.state = 'in_doubt' AND CAST(e.detail AS TEXT) LIKE '%"in_doubt"%')
FROM ledger_delivery d
"""
_WAITING = """
SELECT count(*) FROM ledger_delivery
WHERE state IN ('queued', 'claimed') OR (state = 'in_doubt' AND next_attempt_at IS NOT NULL)
"""


@dataclass(frozen=True)
class Fate:
    """What the ledger says of a delivery, and how often a server took it.

    Attributes:
        doubts: how often it came to be in doubt; `told` how many events say so.
        waits: whether it will be tried by itself.
        contents: the SHA-256 of each copy.
    """

    state: str
    doubts: int
    waits: bool
    told: int
    contents: tuple[str, ...]

    @property
    def taken(self):
        return len(self.contents)


@dataclass
class Campaign:
    """A product, its servers and its messages.

    Attributes:
        upstreams: by kind.
        posted: the recipients of every message that was answered 202.
        busy: how many signals met a courier with work to do.
    """

    product: Product
    upstreams: dict
    dice: random.Random
    posted: list = field(default_factory=list)
    busy: int = 0

    def connect(self):
        """A connection for each kind and policy, which does not work yet."""
        for kind, upstream in self.upstreams.items():
            for policy in POLICIES:
                self.product.api.connect(
                    upstream,
                    name=f"{kind}-{policy}",
                    sender_email=f"{kind}-{policy}@example.org",
                    limits={"max_sessions": 2},
                    active=False,
                )

    def begin(self):
        for kind in self.upstreams:
            for policy in POLICIES:
                self.product.run("connection", "activate", f"{kind}-{policy}")

    def post(self, count):
        """So many messages, to every connection in turn."""
        names = [(kind, policy) for kind in self.upstreams for policy in POLICIES]
        numbers = range(len(self.posted), len(self.posted) + count)
        messages = [self._message(number, *names[number % len(names)]) for number in numbers]
        for start in range(0, count, 500):
            part = messages[start : start + 500]
            answer = self.product.api.post("/messages/batch", {"messages": part}, status=202)
            assert len(answer["results"]) == len(part)
        self.posted += [message["to"][0] for message in messages]

    def _message(self, number, kind, policy):
        return {
            "to": [f"{number}@{kind}-{policy}.example.com"],
            "subject": f"Number {number}",
            "text": f"Good day {number}.\r\n.\r\n" * self.dice.randint(1, 30),
            "on_doubt": policy,
            "connection": f"{kind}-{policy}",
        }

    @property
    def taken(self):
        return sum(upstream.taken for upstream in self.upstreams.values())

    def work(self, old):
        """Until another courier than `old` has been at work for a while, or is about to be."""
        until(lambda: self.product.child("courier") not in {None, old}, what="another courier")
        if self.dice.random() < 0.2:
            time.sleep(self.dice.uniform(0.3, 1.5))
            return
        before = self.taken
        until(lambda: self.taken > before, 30, 0.01, what="work of the new courier")
        time.sleep(self.dice.uniform(0, 0.8))

    def waiting(self):
        return self.product.rows(_WAITING)[0][0]

    def kill(self, count, messages):
        """Kill the courier so often, never without work, and post so many messages meanwhile, or more."""
        killed = None
        for number in range(count):
            self.post(messages * (number + 1) // count - messages * number // count)
            self.work(killed)
            self.have_work()
            killed = self.product.kill("courier")

    def have_work(self):
        """Where the machine was quicker than what was posted, some more."""
        if not self.waiting():
            self.post(2 * len(self.upstreams) * len(POLICIES))

    def terminate(self, longest):
        """SIGTERM for a courier that has been at work for up to `longest` seconds; seconds until its end."""
        before = self.taken
        until(lambda: self.taken > before, 30, 0.05, what="work of the courier")
        time.sleep(self.dice.uniform(0.5, longest))
        self.have_work()
        pid = until(lambda: self.product.child("courier"), what="a running courier")
        self.busy += self.waiting() > 0
        os.kill(pid, signal.SIGTERM)
        asked = time.monotonic()
        until(lambda: parent_of(pid) is None, GRACE, 0.02, what="the end of the courier")
        return time.monotonic() - asked

    def end(self, within):
        until(lambda: not self.waiting(), within, 0.5, what="the end of the work")

    def fates(self):
        """By recipient."""
        contents = defaultdict(list)
        for upstream in self.upstreams.values():
            for entry in upstream.entries():
                for recipient in entry["recipients"]:
                    contents[recipient].append(entry["sha256"])
        return {
            recipient: Fate(*row, tuple(contents[recipient]))
            for recipient, *row in self.product.rows(_DELIVERIES)
        }


@contextlib.contextmanager
def campaign(database, seed, *, loss=LOSS, speed=SPEED, **variables):
    """A product with its servers, connected and idle."""
    with contextlib.ExitStack() as things:
        upstreams = {
            kind: things.enter_context(Upstream(keywords=keywords, lose=loss, seed=seed, **speed))
            for kind, keywords in KINDS.items()
        }
        variables = {"VAGUEMESTRE_DOUBT_DELAY": str(DOUBT_DELAY)} | variables
        product = things.enter_context(Product(database=database, **variables))
        made = Campaign(product, upstreams, random.Random(seed))
        made.connect()
        yield made


def killed(database, *, kills, messages, seed, within):
    """A whole campaign of kills, every message accounted for; figures of it."""
    head = min(HEAD, messages // 2)
    with campaign(database, seed) as made:
        made.post(head)
        made.begin()
        made.kill(kills, messages - head)
        made.end(within)
        fates = made.fates()
        assert len(fates) == len(made.posted) >= messages
        assert set(fates) == set(made.posted)
        for recipient, fate in fates.items():
            judge(recipient, fate)
        assert [fault for one in made.upstreams.values() for fault in one.blamed()] == []
        return figures(made, fates)


def terminated(database, *, times, longest, seed, within):
    """A campaign of SIGTERMs before servers that answer within 2 s: everything arrives once, without doubt."""
    each = int(12 * longest)  # what the sessions can do meanwhile, and more
    with campaign(database, seed, loss=0.0, speed=SLOW) as made:
        made.post(each)
        made.begin()
        drains = []
        for _ in range(times):
            made.post(each // 2)
            drains.append(made.terminate(longest))
        made.end(within)
        fates = made.fates()
        assert made.busy == times, "the work did not outlast the signals"
        assert set(fates) == set(made.posted)
        wrong = {recipient: fate for recipient, fate in fates.items() if fate != once(fate)}
        assert not wrong
        assert [fault for one in made.upstreams.values() for fault in one.blamed()] == []
        assert "Traceback" not in made.product.logs()
        told = {"drains": [round(seconds, 1) for seconds in sorted(drains)]}
        return told | figures(made, fates)


def once(fate):
    """The fate of what was taken once, and never in doubt."""
    return Fate("accepted", 0, False, 0, fate.contents[:1])


def judge(recipient, fate):
    """L6 for one delivery when everything is at rest."""
    assert fate.state in {"accepted", "in_doubt"}, (recipient, fate)
    assert fate.doubts == fate.told, (recipient, fate)
    if fate.state == "accepted":
        assert fate.taken >= 1, (recipient, fate)  # nothing is lost
    # Each doubt may have been an acceptance, and explains one more copy at most.
    assert fate.taken <= fate.doubts + (fate.state == "accepted"), (recipient, fate)
    # A retry is byte-identical.
    assert len(set(fate.contents)) <= 1, (recipient, fate)
    if "-hold." in recipient:
        assert fate.taken <= 1, (recipient, fate)
        assert fate.doubts <= 1, (recipient, fate)
    elif fate.state == "in_doubt":
        # A person decides after the second doubt, and not before.
        assert fate.doubts == 2, (recipient, fate)


def figures(made, fates):
    """What is told of a campaign."""
    entries = {kind: one.entries() for kind, one in made.upstreams.items()}
    return {
        "messages": len(fates),
        "states": dict(Counter(fate.state for fate in fates.values())),
        "doubts": sum(fate.doubts for fate in fates.values()),
        "copies beyond one": sum(max(fate.taken - 1, 0) for fate in fates.values()),
        "in doubt, never taken": sum(fate.state == "in_doubt" and not fate.taken for fate in fates.values()),
        "lost replies": sum(not entry["answered"] for part in entries.values() for entry in part),
        "manners": {kind: dict(Counter(entry["manner"] for entry in part)) for kind, part in entries.items()},
    }
