"""Messages posted one by one by 16 clients, every one fsynced before its 202: ours, beside Django alone.

Ours is the whole product with one web worker, as `up` starts it; its connection is paused, so that nothing is
sent meanwhile. Both are asked by the same program with the same bodies, after some that do not count.
"""

from bench.figures import OURS, RELAY, Figure, Measure
from bench.latency import percentile
from bench.peers import django_alone
from bench.posting import post
from bench.whole import expect, paused

CLIENTS = 16
FIRST = 320  # messages that do not count: servers read files and fill caches at first

TITLE = f"Posted one by one, {CLIENTS} clients, 1.5 KiB, one web worker"
RATE = Measure(TITLE, "messages per second", 0, "", RELAY)
TIMES = Measure("the same in multiples of Django's", "", 2, "≥ 1", RELAY)
P99 = Measure("the same, 99th percentile of an answer", "ms", 1, "≤ 25", RELAY)


def measure(repetitions, messages):
    """Ours and Django's, taking turns."""
    runs = [(_by_django(messages), _by_vaguemestre(messages)) for _ in range(repetitions)]
    theirs, ours = zip(*runs, strict=True)
    times = tuple(mine / other for (other, _), (mine, _) in runs)
    return [
        *_figures(RATE, 0, theirs, ours),
        Figure(TIMES, OURS, times),
        *_figures(P99, 1, theirs, ours),
    ]


def _figures(kind, part, theirs, ours):
    by = {django_alone.NAME: theirs, OURS: ours}
    return [Figure(kind, who, tuple(run[part] for run in runs)) for who, runs in by.items()]


def _by_django(messages):
    with django_alone.serving() as alone:
        found = _posted(alone.port, "", messages)
        if alone.rows() != FIRST + messages:
            raise RuntimeError(f"Django has {alone.rows()} rows instead of {FIRST + messages}")
    return found


def _by_vaguemestre(messages):
    with paused() as product:
        found = _posted(product.web_port, product.key, messages)
        expect(product, "queued", FIRST + messages)
    return found


def _posted(port, key, messages):
    """Messages a second, and the 99th percentile in milliseconds."""
    post(port, key, singles=CLIENTS, messages=FIRST)
    posted = post(port, key, singles=CLIENTS, messages=messages)
    return messages / posted.seconds, 1000 * percentile(posted.singles, 99)
