"""Files that are there, but not for the user who runs the command."""

import os
import subprocess

import pytest

from cli.installation import COMMAND

HELD = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def run(installation, *words):
    """The command as a user whom the modes of files bind, which root's do not otherwise."""
    return subprocess.run(
        [*HELD, COMMAND, *words],
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("word", ["up", "check"])
def test_a_key_that_cannot_be_read_is_not_called_missing(installation, word):
    path = installation.data / "vault.key"
    path.chmod(0)
    done = run(installation, word)
    assert (done.returncode, done.stdout) == (1, "")
    told = f"The key {path} is there but cannot be read (Permission denied): run `chmod u+rw {path}`."
    assert done.stderr.splitlines() == [told]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_of_somebody_else_is_told_with_its_owner_and_the_one_to_give_it_to(installation):
    path = installation.data / "secret.key"
    os.chown(path, 1, -1)
    told = run(installation, "up").stderr
    assert told == (
        f"The key {path} is there but cannot be read (Permission denied): it belongs to daemon;"
        f" give it to root, who runs this, with `chown root {path}`.\n"
    )


def test_no_key_is_made_over_one_that_cannot_be_read_where_there_is_no_data_yet(installation):
    (installation.data / "vaguemestre.sqlite3").unlink()
    path = installation.data / "vault.key"
    kept = path.read_text()
    path.chmod(0)
    assert run(installation, "migrate").returncode == 1
    path.chmod(0o600)
    assert path.read_text() == kept


def test_a_database_that_cannot_be_read_is_not_called_broken(installation):
    (installation.data / "vault.key").unlink()
    path = installation.data / "vaguemestre.sqlite3"
    path.chmod(0)
    told = run(installation, "up").stderr.rstrip("\n")
    assert (
        told
        == f"The database {path} is there but cannot be read (Permission denied): run `chmod u+rw {path}`."
    )
