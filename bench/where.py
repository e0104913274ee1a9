"""Where our processor time goes: the functions in which each process was found most often.

    PYTHONPATH=tests .venv/bin/python -m bench.where [relay|singles|batches] [MESSAGES]

One relay as `relay` measures it, or posts as `http_single` and `http_batch` do, looked at by py-spy 200 times
a second. For each process two lists, in parts of all looks that found a thread of it at work: the function it
was in, whosesoever, and the function of ours that was nearest above. The stacks stay in build/bench/profile.
Looking costs: no rate of such a run is a figure. Fails where py-spy is missing.
"""

import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from bench import disk, smtp_source
from bench.__main__ import KEPT
from bench.peers.peer import Missing
from bench.posting import BATCH, post
from bench.smtp_sink import SmtpSink
from bench.whole import paused, whole
from system.processes import descendants

SPY = Path(sys.executable).with_name("py-spy")
PER_SECOND = 200
SHOWN = 25
PROCESSES = ("web", "submission", "courier")


def main():
    if not SPY.exists():
        how = f"Install it: .bootstrap/uv/bin/uv pip install --python {sys.executable} py-spy"
        sys.exit(str(Missing("py-spy", how)))
    disk.use()
    kind, messages = (sys.argv[1:] + ["relay", "10000"][len(sys.argv) - 1 :])[:2]
    work = {"relay": _relay, "singles": _singles, "batches": _batches}
    for name, stacks in work[kind](int(messages)).items():
        _show(name, stacks)


def _relay(messages):
    with SmtpSink() as sink, whole(sink.port, 20) as product, _watched(product) as found:
        smtp_source.submit(product.submission_port, messages, 20)
        sink.wait_for(messages)
    return found


def _singles(messages):
    with paused() as product, _watched(product) as found:
        post(product.web_port, product.key, singles=16, messages=messages)
    return found


def _batches(messages):
    with paused() as product, _watched(product) as found:
        post(product.web_port, product.key, batchers=1, batches=messages // BATCH)
    return found


@contextmanager
def _watched(product):
    """By process: how often each stack was seen, once the context is left."""
    found = {}
    folder = KEPT / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    spies = [
        (name, folder / f"{name}.txt", _spy(product, name, folder / f"{name}.txt")) for name in PROCESSES
    ]
    yield found
    for name, file, spy in spies:
        spy.send_signal(signal.SIGINT)
        spy.wait(60)
        lines = [line.rpartition(" ") for line in file.read_text().splitlines()]
        found[name] = Counter({tuple(stack.split(";")): int(times) for stack, _, times in lines})


def _spy(product, name, file):
    child = product.child(name)
    pid = next(iter(descendants(child)), child) if name == "web" else child  # its worker is below it
    command = [SPY, "record", "--pid", str(pid), "--rate", str(PER_SECOND), "--format", "raw", "--function"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, "--output", file], stdin=quiet, stdout=quiet, stderr=quiet)


def _show(name, stacks):
    seen = sum(stacks.values())
    print(f"\n{name}: {seen} looks found a thread at work")
    for title, place in (("in", _innermost), ("for", _ours)):
        counted = Counter()
        for stack, times in stacks.items():
            counted[place(stack)] += times
        for frame, times in counted.most_common(SHOWN):
            print(f"  {title:3} {100 * times / seen:5.1f} %  {frame}")


def _innermost(stack):
    return stack[-1]


def _ours(stack):
    mine = [frame for frame in stack if "vaguemestre/" in frame]
    return mine[-1] if mine else "nobody of ours"


if __name__ == "__main__":
    main()
