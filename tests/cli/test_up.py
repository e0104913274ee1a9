"""`vaguemestre up`, as a person starts and stops it."""

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.installation import COMMAND, Installation, alive, answers, descendants, wait_for
from vaguemestre.cli.supervisor import restart_delay


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One that was started on nothing at all, and what it printed."""
    installation = Installation(tmp_path_factory.mktemp("first") / "deep" / "data")
    with installation.up() as up:
        up.line = up.process.stdout.readline()
        yield up


def status(running, path):
    connection = http.client.HTTPConnection("127.0.0.1", running.installation.web, timeout=10)
    with closing(connection):
        connection.request("GET", path)
        with connection.getresponse() as answer:
            return answer.status


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_up_makes_a_private_directory_and_its_keys(running):
    data = running.installation.data
    assert mode(data) == 0o700
    assert {name: mode(data / name) for name in ("secret.key", "vault.key", "vaguemestre.sqlite3")} == {
        "secret.key": 0o600,
        "vault.key": 0o600,
        "vaguemestre.sqlite3": 0o600,
    }


def test_up_prints_one_line_with_the_address_and_a_link_that_opens_the_first_page(running):
    address = f"http://127.0.0.1:{running.installation.web}"
    assert running.line.startswith(
        f"Vaguemestre runs at {address} - create the first administrator at {address}/setup/"
    )
    link = running.line.split()[-1]
    assert status(running, urlsplit(link).path) == 200
    assert status(running, urlsplit(link).path[:-8] + "/") != 200


def test_the_children_show_as_the_command(running):
    assert set(running.children()) == {"web", "submission", "courier"}


def listening(port):
    """What /proc calls the socket that listens on a port of the loopback address."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return next(
        f"socket:[{line[9]}]" for line in lines if line[1] == f"0100007F:{port:04X}" and line[3] == "0A"
    )


def open_files(pid):
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(path.readlink()))
    return found


def test_up_has_one_thread_and_opens_neither_database_nor_network(running):
    up = running.process.pid
    assert len(list(Path(f"/proc/{up}/task").iterdir())) == 1
    below = running.installation.data
    assert [name for name in open_files(up) if name.startswith(str(below))] == [f"{below}/up.lock"]
    ports = running.installation.web, running.installation.submission
    assert not open_files(up) & {listening(port) for port in ports}


def test_readyz_is_there_without_administrator_and_connection(running):
    wait_for(lambda: status(running, "/readyz") == 200)
    assert status(running, "/healthz") == 200


def test_l07_a_second_up_on_the_same_data_is_refused_with_one_sentence(running):
    refused = Installation(running.installation.data).run("up")
    assert refused.returncode == 1
    assert refused.stderr == (
        f"Another `vaguemestre up`, or a `migrate`, is at work on {running.installation.data}:"
        " stop it, or let it end, first.\n"
    )


def test_commands_work_while_up_runs(running):
    listed = running.installation.run("stream", "list", "--json")
    assert len(json.loads(listed.stdout)) == 6


@pytest.mark.parametrize("name", ["web", "submission", "courier"])
def test_l01_a_killed_child_is_started_again(running, name):
    before = running.children()[name]
    below = descendants(before)
    os.kill(before, signal.SIGKILL)
    # A worker that outlived its parent would go on answering beside the new one.
    wait_for(lambda: not any(alive(pid) for pid in below))

    def successor():
        pid = running.children().get(name, before)
        return 0 if pid == before else pid

    after = wait_for(successor)
    assert alive(after)
    wait_for(lambda: answers(running.installation.web) and answers(running.installation.submission))
    # Forked anew, it has nothing open that is its parent's or another child's.
    ports = {"web": running.installation.web, "submission": running.installation.submission}
    foreign = {listening(port) for owner, port in ports.items() if owner != name}
    for pid in (after, *descendants(after)):
        assert not open_files(pid) & {*foreign, f"{running.installation.data}/up.lock"}


def test_l03_sigterm_ends_up_and_every_child_within_30_s(installation):
    with installation.up() as up:
        family = up.family()
        assert len(family) >= 3
        assert up.stop() < 20  # less than the 28 s after which they would have been killed
        assert up.process.returncode == 0
        assert not any(alive(pid) for pid in family)


def test_web_ends_at_once_while_its_worker_loads(installation):
    with subprocess.Popen([COMMAND, "web"], env=installation.environment) as web:
        wait_for(lambda: descendants(web.pid))
        web.terminate()
        assert web.wait(10) == 0  # half of the time after which a worker is killed


MISSES_ONE = """
import signal, sys, time
from vaguemestre.cli import process
told = []
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0) if told else told.append(1))
process.repeat_signals()
print("ready", flush=True)
time.sleep(30)
sys.exit(1)
"""


def test_who_misses_that_it_is_told_to_end_is_told_again():
    with subprocess.Popen([sys.executable, "-c", MISSES_ONE], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.terminate()
        assert process.wait(20) == 0


def test_the_children_of_a_killed_up_end_too_and_another_up_may_start(installation):
    # Nobody reads what it prints: it runs all the same.
    with installation.up(shell=">&-") as up:
        family = up.family()
        # Else the next file opened, the database perhaps, would be what it prints to.
        assert Path(f"/proc/{up.process.pid}/fd/1").readlink() == Path(os.devnull)
        up.stop(signal.SIGKILL)
        wait_for(lambda: not any(alive(pid) for pid in family))
    # A reader that went away before the one line was printed is no reason to end either.
    with installation.up(unread=True) as up:
        time.sleep(0.5)
        assert up.process.poll() is None
        assert up.stop(signal.SIGINT) < 30


def test_the_wait_before_a_restart_doubles_to_five_seconds():
    waits, waited = [], 0.0
    for _ in range(8):
        waited = restart_delay(waited, was_ready=False)
        waits.append(round(waited, 1))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert restart_delay(5.0, was_ready=True) == 0.1
