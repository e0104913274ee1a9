"""A small file is written whole or not at all, and what was begun is taken away."""

import errno
import subprocess
import sys

import pytest

from vaguemestre import durable

FULL = """
import resource, sys
from pathlib import Path
from vaguemestre import durable

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    durable.write(Path(sys.argv[1]), "new")
except OSError as error:
    print(error.errno)
"""


def test_a_write_takes_the_place_of_what_was_there(tmp_path):
    path = tmp_path / "mark"
    path.write_text("old\n")
    durable.write(path, "new")
    assert [*tmp_path.iterdir()] == [path]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new\n", 0o600)


def test_a_write_that_fails_leaves_what_was_there_and_no_draft(tmp_path):
    path = tmp_path / "mark"
    path.write_text("old\n")
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) == errno.EFBIG
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "old\n"


def test_a_draft_that_cannot_take_its_place_is_taken_away(tmp_path):
    path = tmp_path / "mark"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        durable.write(path, "new")
    assert [*tmp_path.iterdir()] == [path]
