"""The bench counts what all processes of a product take together, those that are gone as well."""

import os
import subprocess
import sys

import pytest
from bench.family import Family, Peak
from bench.peers.peer import Missing

from system.product import until

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"
# Its child is not waited for: whoever asks the parent alone never hears of its 0.3 s.
ABANDONS = f"""
import signal, subprocess, sys
sys.stdin.read()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", {BUSY!r}]).wait()
"""
HOLDS = "import sys; kept = b'x' * 64_000_000; print(flush=True); sys.stdin.read()"


@pytest.fixture
def family():
    try:
        made = Family().__enter__()
    except Missing as why:
        pytest.skip(str(why))
    yield made
    made.__exit__()


@pytest.fixture
def python(family):
    """A program in the family, which begins once its standard input ends."""
    running = []

    def start(program):
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        running.append(process)
        family.take(process.pid)
        return process

    yield start
    for process in running:
        process.communicate()


def test_the_time_of_a_child_that_nobody_waits_for_counts(family, python):
    before = family.cpu()
    python(ABANDONS).communicate()
    family.until_at_rest()
    assert 0.3 <= family.cpu() - before <= 0.8


def test_memory_is_that_of_all_at_its_highest(family, python):
    with Peak(family) as peak:
        for process in [python(HOLDS), python(HOLDS)]:
            process.stdout.readline()
        until(lambda: peak.bytes >= 128_000_000, 5, what="a look at both")
    assert 128_000_000 <= family.memory() <= 180_000_000
    assert peak.bytes <= family.memory() * 1.01


def test_others_do_not_count(family):
    assert os.getpid() not in family.pids()
    assert family.memory() == 0
