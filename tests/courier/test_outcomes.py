"""D6: what a server answered is on this machine's disk while the database is away, kill -9 and a full disk included."""

import contextlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vaguemestre.courier.outcomes import ROOM, Outcomes
from vaguemestre.ledger.claims import Claim, Duty, Report, Settlement
from vaguemestre.ledger.evidence import entry_of
from vaguemestre.ledger.identity import new_digits
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.any_database  # it is there for the time without one
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def report(text="2.0.0 Ok: queued as 4711"):
    claim = Claim(new_digits(), 1, {}, 100, (Duty(7, "to@example.com", 0, 0.0, 1.0, 0),))
    return Report(
        claim=claim, started_at=NOW, staged_at=NOW, ended_at=NOW, connection_version=1, peer="192.0.2.1",
        tls="TLSv1.3", steps=[{"sent": "MAIL FROM:<secret@example.org>"}],
        settlements=(Settlement(7, DeliveryState.ACCEPTED, Reply(250, text)),),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outcomes"


def files(folder):
    return sorted(folder.iterdir())


def die(outcomes):
    """As the kernel does when a process dies: its locks go, nothing is cleared."""
    os.close(outcomes._file.descriptor)


def left_behind(folder):
    reader = Outcomes(folder)
    try:
        return reader.left_behind()
    finally:
        reader.close()


def test_the_folder_and_its_files_are_the_owners_alone(folder):
    Outcomes(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in files(folder)] == [0o600]


def test_d6_what_a_dead_process_kept_is_found_whole(folder):
    outcomes, kept = Outcomes(folder), [report(), report('2.1.5 öäü \\ " \n ok')]
    outcomes.keep(kept[:1])
    outcomes.keep(kept[1:])
    die(outcomes)
    assert left_behind(folder) == [entry_of(one) for one in kept]


def test_neither_content_nor_transcript_is_kept(folder):
    outcomes = Outcomes(folder)
    outcomes.keep([report()])
    assert b"secret@example.org" not in files(folder)[0].read_bytes()


def test_what_a_living_process_keeps_is_its_own(folder):
    outcomes = Outcomes(folder)
    outcomes.keep([report()])
    assert outcomes.left_behind() == []
    assert left_behind(folder) == []
    assert len(files(folder)) == 1


def test_what_is_recorded_after_all_is_cleared_once_all_of_it_is(folder):
    outcomes, (one, two) = Outcomes(folder), (report(), report())
    outcomes.keep([one, two])
    outcomes.done([one.claim.attempt])
    outcomes.done([new_digits()])  # of the many that were never kept
    held = files(folder)[0].read_bytes()
    assert held.count(b"\n") == 2
    outcomes.done([two.claim.attempt])
    assert files(folder)[0].read_bytes().strip(b"\0") == b""


def test_cleared_room_is_used_again(folder):
    outcomes = Outcomes(folder)
    for _ in range(3):
        one = report()
        outcomes.keep([one])
        outcomes.done([one.claim.attempt])
    last = report("short")
    outcomes.keep([last])
    die(outcomes)
    assert left_behind(folder) == [entry_of(last)]
    assert files(folder)[0].stat().st_size == ROOM


def test_what_was_left_behind_stays_until_it_is_settled(folder):
    outcomes = Outcomes(folder)
    outcomes.keep([report()])
    die(outcomes)
    assert len(left_behind(folder)) == 1
    reader = Outcomes(folder)
    assert len(reader.left_behind()) == 1
    assert len(reader.left_behind()) == 1  # asked again, since the database was away
    other = Outcomes(folder)
    assert other.left_behind() == []  # it is being settled
    reader.settled()
    assert reader.left_behind() == []
    assert len(files(folder)) == 2  # the two readers' own


def test_an_orderly_end_leaves_no_file(folder):
    outcomes = Outcomes(folder)
    one = report()
    outcomes.keep([one])
    outcomes.done([one.claim.attempt])
    outcomes.close()
    assert files(folder) == []


def test_an_orderly_end_leaves_what_is_not_recorded_to_the_next(folder):
    outcomes, one = Outcomes(folder), report()
    outcomes.keep([one])
    outcomes.close()
    assert left_behind(folder) == [entry_of(one)]


@pytest.mark.parametrize("cut", [2, 20, 200])
def test_a_line_that_was_being_written_is_no_line(folder, cut):
    outcomes, (one, two) = Outcomes(folder), (report(), report())
    outcomes.keep([one])
    outcomes.keep([two])
    file = files(folder)[0]
    held = file.read_bytes().rstrip(b"\0")
    file.write_bytes(held[:-cut])
    die(outcomes)
    assert left_behind(folder) == [entry_of(one)]


def test_a_line_that_was_damaged_is_no_line_and_harms_no_other(folder):
    outcomes, (one, two) = Outcomes(folder), (report(), report())
    outcomes.keep([one])
    outcomes.keep([two])
    file = files(folder)[0]
    held = bytearray(file.read_bytes())
    held[60] ^= 1
    file.write_bytes(held)
    die(outcomes)
    assert left_behind(folder) == [entry_of(two)]


def test_what_is_no_file_of_ours_is_left_alone(folder):
    folder.mkdir(mode=0o700)
    (folder / "notes.txt").write_text("mine")
    (folder / "a.outcomes").symlink_to(folder / "notes.txt")
    assert left_behind(folder) == []
    assert (folder / "notes.txt").read_text() == "mine"


_CHILD = """
import os, runpy, sys
from pathlib import Path
import django
django.setup()
from vaguemestre.courier.outcomes import Outcomes
report = runpy.run_path({here!r})["report"]
outcomes = Outcomes(Path({folder!r}))
"""


def child(folder, program):
    """A process that keeps outcomes."""
    variables = os.environ | {
        "DJANGO_SETTINGS_MODULE": "settings_for_tests",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "VAGUEMESTRE_TEST_DATABASE": "sqlite",
    }
    text = _CHILD.format(here=__file__, folder=str(folder)) + program
    return subprocess.Popen(
        [sys.executable, "-c", text], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("seed", range(4))
def test_d6_a_process_killed_at_any_moment_has_kept_what_it_said(folder, seed):
    program = """
while True:
    some = [report("2.0.0 Ok " + "x" * 1500) for _ in range(3)]
    outcomes.keep(some)
    print(*[one.claim.attempt for one in some], flush=True)
"""
    process = child(folder, program)
    first = process.stdout.readline()
    time.sleep(random.Random(seed).random() / 5)
    process.send_signal(signal.SIGKILL)
    lines = [first, *process.stdout.read().splitlines(keepends=True)]
    process.communicate(timeout=20)
    said = [attempt for line in lines if line.endswith("\n") for attempt in line.split()]
    found = [entry.attempt.hex for entry in left_behind(folder)]
    assert found[: len(said)] == said
    assert len(said) >= 3


def test_d6_where_no_more_fits_it_is_said_and_what_was_kept_stays(folder):
    program = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
kept = []
try:
    while True:
        one = report()
        outcomes.keep([one])
        kept.append(one.claim.attempt)
except OSError as error:
    print(type(error).__name__, error.errno, *kept)
    sys.stdout.flush()
    os._exit(0)
"""
    process = child(folder, program)
    out, errors = process.communicate(timeout=30)
    name, _, *kept = out.split()
    assert (name, errors) == ("OSError", "")
    assert len(kept) > 10
    assert [entry.attempt.hex for entry in left_behind(folder)] == kept


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("only root mounts a file system")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "none", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield place
    subprocess.run([umount, "-l", place], check=True)


def fill(path):
    """Write until nothing more fits."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_d6_a_full_disk_still_takes_what_there_is_room_for(small_disk):
    outcomes = Outcomes(small_disk / "outcomes")
    fill(small_disk / "everything-else")
    kept = [report("2.0.0 Ok " + "x" * 1500) for _ in range(500)]
    for one in kept:
        outcomes.keep([one])
    with pytest.raises(OSError, match="No space left"):
        outcomes.keep([report("2.0.0 Ok " + "x" * 1500) for _ in range(100)])
    die(outcomes)
    assert left_behind(small_disk / "outcomes")[:500] == [entry_of(one) for one in kept]
