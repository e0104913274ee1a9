"""How long single posts of 8 clients take while one more client posts batches of 1,000 without a pause."""

from bench.figures import OURS, RELAY, Figure, Measure
from bench.latency import percentile
from bench.posting import BATCH, post
from bench.whole import expect, paused

CLIENTS = 8
FIRST = 160  # messages that do not count

TITLE = f"{CLIENTS} clients that post one by one, beside one that posts batches"
P99 = Measure(f"{TITLE}, 99th percentile of a single answer", "ms", 1, "≤ 60", RELAY)
SINGLES = Measure("the same, single messages", "per second", 0, "", RELAY)
BATCHED = Measure("the same, messages in batches", "per second", 0, "", RELAY)


def measure(repetitions, messages):
    """The percentile, and how much of either there was."""
    p99, singles, batched = zip(*(_once(messages) for _ in range(repetitions)), strict=True)
    return [Figure(P99, OURS, p99), Figure(SINGLES, OURS, singles), Figure(BATCHED, OURS, batched)]


def _once(messages):
    with paused() as product:
        post(product.web_port, product.key, singles=CLIENTS, messages=FIRST)
        posted = post(product.web_port, product.key, singles=CLIENTS, messages=messages, batchers=1)
        batched = len(posted.batches) * BATCH
        expect(product, "queued", FIRST + messages + batched)
    return 1000 * percentile(posted.singles, 99), messages / posted.seconds, batched / posted.seconds
