"""What a child of `up` is made of: its parent's memory, and nothing else of it."""

import errno
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from vaguemestre.cli.logs import Alone
from vaguemestre.cli.supervisor import FIRST_DELAY, Supervisor

TWO_CHILDREN = """
import json, os, random, secrets, signal, ssl, uuid
from pathlib import Path
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from vaguemestre.cli import process

def drawn():
    lots = random.random(), secrets.token_hex(), uuid.uuid4().hex, ssl.RAND_bytes(16).hex()
    return [*lots, AESGCM.generate_key(256).hex()]

def begun():
    signals = signal.SIGTERM, signal.SIGINT, signal.SIGCHLD
    return {
        "drawn": drawn(),
        "signals": [signal.getsignal(number) is not note for number in signals],
        "held back": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "woken": signal.set_wakeup_fd(-1),
        "leads its group": os.getpgrp() == os.getpid(),
        "reads": os.readlink("/proc/self/fd/0"),
        "shown": Path("/proc/self/cmdline").read_text().rstrip("\\0").split("\\0")[1:],
        "ready": os.environ[process.READY],
    }

def note(*_): pass

drawn()  # whatever keeps a state has one by now
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
    signal.signal(number, note)
reader, writer = os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
for _ in range(2):
    try:
        os.waitpid(process.fork("courier", "words", ready=7), 0)
    except process.Born as born:
        print(json.dumps(begun() | {"words": born.words}), flush=True)
        os._exit(0)
"""


def two_children():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", TWO_CHILDREN, "a", "few", "words", "more"],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_child_draws_lots_of_its_own_and_begins_as_a_new_program_would():
    first, second = two_children()
    assert not set(first.pop("drawn")) & set(second.pop("drawn"))
    assert (
        first
        == second
        == {
            "signals": [True, True, True],
            "held back": 0,
            "woken": -1,
            "leads its group": True,
            "reads": os.devnull,
            "shown": ["courier"],
            "ready": "7",
            "words": ["courier", "words"],
        }
    )


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_child_that_there_is_no_memory_for_is_tried_again(monkeypatch):
    def refuse():
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(os, "fork", refuse)
    supervisor = Supervisor(("courier",), lambda: None)
    (child,) = supervisor.children
    before = open_files()
    supervisor._start_due()
    assert (child.pid, child.pipe, child.waited) == (None, None, FIRST_DELAY)
    assert 0 < child.due - time.monotonic() <= FIRST_DELAY
    assert open_files() == before


def test_up_never_waits_for_a_reader_of_its_log():
    reader, writer = os.pipe()
    log = Alone(writer)
    for number in range(10_000):
        log.forward(f"{number} {'x' * 100}")
    kept = os.read(reader, 1 << 20)
    assert kept.startswith(b"0 x")
    assert kept.endswith(b"x\n")
    log.forward("z" * 100_000)
    assert os.read(reader, 1 << 20) == b"z" * (select.PIPE_BUF - 1) + b"\n"
    os.close(reader)
    log.forward("nobody reads")
    os.close(writer)


LOADED = """
import sys
from vaguemestre.cli.loading import load_for_children
load_for_children([])
print("ninja.conf" in sys.modules, "unittest" in sys.modules)
from django.test.utils import override_settings
from ninja.conf import settings
with override_settings(NINJA_PAGINATION_PER_PAGE=7):
    print(settings.PAGINATION_PER_PAGE)
"""


def test_what_children_share_has_the_pages_and_not_the_tests_of_libraries(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={"VAGUEMESTRE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["True", "False", "7"], "")
