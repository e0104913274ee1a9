"""Where our processor time goes: the functions in which each process was found most often.

    PYTHONPATH=tests .venv/bin/python -m bench.where [relay|singles|batches] [MESSAGES]

One relay as `relay` measures it, or posts as `http_single` and `http_batch` do, looked at by py-spy 200
times a second. For each process its processor time by message, which is the kernel's account, and three
lists, in parts of all looks that found a thread of it at work or about to be: the room of ours, the function
it was in, whosesoever, and the function of ours that was nearest above. The stacks stay in
build/bench/profile. Looking costs: no rate of such a run is a figure. Fails where py-spy is missing.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import disk, installed, smtp_source
from bench.__main__ import KEPT
from bench.peers.peer import Missing
from bench.posting import BATCH, post
from bench.smtp_sink import SmtpSink
from bench.whole import paused, whole
from system.processes import descendants

SPY = Path(sys.executable).with_name("py-spy")
PER_SECOND = 200
SHOWN = 14
PROCESSES = ("web", "submission", "courier")


@dataclass(frozen=True)
class Process:
    """One that is looked at.

    Attributes:
        spent: processor time before, in seconds.
        stacks: where what was seen is written.
    """

    name: str
    pid: int
    spent: float
    stacks: Path
    spy: subprocess.Popen


def main():
    if not SPY.exists():
        how = f"Install it: .bootstrap/uv/bin/uv pip install --python {sys.executable} py-spy"
        sys.exit(str(Missing("py-spy", how)))
    disk.use()
    installed.made_ready()
    kind, messages = (sys.argv[1:] + ["relay", "10000"][len(sys.argv) - 1 :])[:2]
    {"relay": _relay, "singles": _singles, "batches": _batches}[kind](int(messages))


def _relay(messages):
    with SmtpSink() as sink, whole(sink.port, 20) as product, _watched(product, messages):
        smtp_source.submit(product.submission_port, messages, 20)
        sink.wait_for(messages)


def _singles(messages):
    with paused() as product, _watched(product, messages):
        post(product.web_port, product.key, singles=16, messages=messages)


def _batches(messages):
    with paused() as product, _watched(product, messages):
        post(product.web_port, product.key, batchers=1, batches=messages // BATCH)


@contextmanager
def _watched(product, messages):
    """Until it is left, when what was seen is printed."""
    folder = KEPT / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    watched = [_watch(product, name, folder / f"{name}.txt") for name in PROCESSES]
    time.sleep(1)  # until all of them look
    yield
    for process in watched:
        spent = _processor_time(process.pid) - process.spent
        process.spy.send_signal(signal.SIGINT)
        process.spy.wait(60)
        print(f"\n{process.name}: {1e6 * spent / messages:.0f} us of processor time a message")
        _show(process.stacks)


def _watch(product, name, file):
    child = product.child(name)
    pid = next(iter(descendants(child)), child) if name == "web" else child  # its worker is below it
    command = [SPY, "record", "--pid", str(pid), "--rate", str(PER_SECOND), "--format", "raw", "--function"]
    quiet = subprocess.DEVNULL
    spy = subprocess.Popen([*command, "--output", file], stdin=quiet, stdout=quiet, stderr=quiet)
    return Process(name, pid, _processor_time(pid), file, spy)


def _processor_time(pid):
    """In user mode and in the kernel, all threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _show(file):
    lines = [line.rpartition(" ") for line in file.read_text().splitlines()]
    seen = sum(int(times) for _, _, times in lines)
    for title, place in (("room", _room), ("in", _innermost), ("for", _ours)):
        counted = Counter()
        for stack, _, times in lines:
            counted[place(stack.split(";"))] += int(times)
        for frame, times in counted.most_common(SHOWN):
            print(f"  {title:4} {100 * times / seen:5.1f} %  {frame}")


def _innermost(stack):
    return stack[-1] or "no Python: a thread of the server"


def _ours(stack):
    mine = [frame for frame in stack if "vaguemestre/" in frame]
    return mine[-1] if mine else "nobody of ours"


def _room(stack):
    """The folder of ours that was nearest, or its module where it lies in none."""
    return _ours(stack).rpartition("(vaguemestre/")[2].partition("/")[0]


if __name__ == "__main__":
    main()
