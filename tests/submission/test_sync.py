"""What the kernel saw: the sync of the database before the 250 (L5)."""

import re
import shutil
import subprocess
import time

import pytest

from scripted.ports import free_port
from submission.door import MESSAGE
from submission.test_process import dial, process  # noqa: F401  a fixture

CALLS = "fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg"
LARGE = MESSAGE + (b"x" * 70 + b"\r\n") * 10_000


def seen(path, mark):
    """The calls behind the last occurrence of `mark` in what was sent, and the one that says 250."""
    lines = path.read_text(errors="replace").splitlines()
    told = next(number for number, line in enumerate(lines) if "250 2.0.0 queued as" in line)
    begun = max((number for number, line in enumerate(lines[:told]) if mark in line), default=0)
    return lines[begun:told]


@pytest.mark.needs("strace")
@pytest.mark.parametrize("raw", [MESSAGE, LARGE], ids=["small", "large"])
def test_the_database_is_synced_before_250(process, tmp_path, raw):  # noqa: F811
    port = free_port()
    child, key = process(VAGUEMESTRE_SUBMISSION_BIND=f"127.0.0.1:{port}")
    assert child.stdout.readline() == "ready\n"
    line = dial(port)
    assert line.sign_in(key) == 235
    found = tmp_path / "calls"
    watcher = subprocess.Popen(
        [
            shutil.which("strace"),
            "-f",
            "-y",
            "-s",
            "80",
            "-e",
            f"trace={CALLS}",
            "-o",
            found,
            "-p",
            str(child.pid),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "attached" in watcher.stderr.readline()
        time.sleep(0.3)
        assert line.submit(raw)[0] == 250
        time.sleep(0.3)
    finally:
        line.close()
        watcher.terminate()
        watcher.communicate(timeout=10)
    calls = seen(found, "354 ")
    syncs = [call for call in calls if re.search(r"f(data)?sync\(", call) and "-wal" in call]
    assert syncs, calls
    # Nothing is written to the log of the database behind the last sync.
    last = max(number for number, call in enumerate(calls) if call in syncs)
    assert not [call for call in calls[last:] if "-wal" in call and "write" in call]
