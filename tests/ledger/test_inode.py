"""Which file a database is: a copy is another one, even where it gets the number of what it replaces."""

import ctypes
import re
import shutil
import time

import pytest

from vaguemestre import inode


@pytest.fixture
def file(tmp_path):
    """A file that is not of this moment."""
    made = tmp_path / "data" / "file"
    made.parent.mkdir()
    made.write_text("x")
    time.sleep(0.01)  # births are told by the tick
    return made


def test_a_file_stays_the_same_whatever_is_written_and_wherever_it_is_renamed_to(file, tmp_path):
    before = inode.named(file)
    assert re.fullmatch(rf"file={file.stat().st_ino} born=[0-9]+\.[0-9]{{9}}", before)
    file.write_text("something else")
    file.parent.rename(tmp_path / "elsewhere")
    assert inode.named(tmp_path / "elsewhere" / "file") == before


def test_d11_a_directory_that_is_deleted_and_copied_back_has_another_file(file, tmp_path):
    backup = shutil.copytree(file.parent, tmp_path / "backup")
    before = inode.named(file)
    assert inode.named(backup / "file") != before
    shutil.rmtree(file.parent)
    shutil.copytree(backup, file.parent)
    assert inode.named(file) != before


def test_without_a_birth_the_number_is_all(file, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert inode.named(file) == f"file={file.stat().st_ino}"


def test_a_file_that_is_not_there_has_no_name(tmp_path):
    with pytest.raises(FileNotFoundError):
        inode.named(tmp_path / "nothing")
