"""Files that are there, but not for the user who runs the command; a disk that is full."""

import os
import sqlite3
import subprocess

import pytest

from cli.installation import COMMAND

HELD = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def run(installation, *words, within=()):
    """The command as a user whom the modes of files bind, which root's do not otherwise."""
    return subprocess.run(
        [*within, *HELD, COMMAND, *words],
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", [["up"], ["check"], ["vault", "rotate"]])
def test_a_key_that_cannot_be_read_is_not_called_missing(installation, words):
    path = installation.data / "vault.key"
    path.chmod(0)
    done = run(installation, *words)
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
@pytest.mark.parametrize("words", [["check"], ["connection", "list"]])
def test_a_folder_of_somebody_else_is_told_with_whom_to_run_the_command_as(installation, words):
    os.chown(installation.data, 1, -1)
    installation.data.chmod(0o700)
    told = f"The folder {installation.data} cannot be entered (Permission denied): it belongs to daemon; run this as daemon."
    done = run(installation, *words)
    assert (done.returncode, done.stderr) == (1, f"{told}\n")


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (["send", "--to", "a@example.test", "--text", "x"], ["`vaguemestre check` tells more."]),
        (["up"], ["`vaguemestre check` tells more.", "Nothing was started."]),
    ],
)
def test_a_lock_file_that_cannot_be_opened_is_a_sentence(installation, words, ending):
    path = installation.data / "vaguemestre.sqlite3-lock"
    path.touch()
    path.chmod(0)
    done = run(installation, *words)
    told = f"The database cannot be used: the lock file {path} cannot be opened (Permission denied)."
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [f"{told} {ending[0]}", *ending[1:]]


def test_check_names_each_file_and_folder_that_may_not_be_written(installation):
    made = [installation.data / f"vaguemestre.sqlite3{suffix}" for suffix in ("", "-lock")]
    outcomes = installation.data / "outcomes"
    outcomes.mkdir(exist_ok=True)
    made[1].touch()
    made[0].chmod(0o400)
    made[1].chmod(0o400)
    outcomes.chmod(0o500)
    told = run(installation, "check").stderr.splitlines()
    assert told == [
        *(f"{path} cannot be written: run `chmod u+rw {path}`." for path in made),
        f"{outcomes} cannot be written: run `chmod u+rwx {outcomes}`.",
    ]


def test_check_tries_to_write(installation):
    with sqlite3.connect(installation.data / "vaguemestre.sqlite3") as database:
        database.execute(
            "CREATE TRIGGER none BEFORE UPDATE ON django_migrations BEGIN SELECT raise(ABORT, 'never'); END"
        )
    database.close()
    told = run(installation, "check").stderr
    assert told == f"The database {installation.data / 'vaguemestre.sqlite3'} cannot be used: never.\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a disk")
def test_check_says_that_the_disk_is_full(installation):
    small = f"mount -t tmpfs -o size=8m none {installation.data} && cp -a . {installation.data}"
    filled = f"head -c 8m /dev/zero >{installation.data}/other 2>/dev/null"
    script = f'cd {installation.data} && {small}; {filled}; exec "$@"'
    done = run(installation, "check", within=["unshare", "--mount", "sh", "-c", script, "sh"])
    told = f"Nothing can be stored in {installation.data} (No space left on device): make room on its disk."
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, told)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a disk")
def test_check_says_that_the_file_system_takes_no_writes(installation):
    bound = f"mount --bind {installation.data} {installation.data}"
    script = f'{bound} && mount -o remount,ro,bind {installation.data}; exec "$@"'
    done = run(installation, "check", within=["unshare", "--mount", "sh", "-c", script, "sh"])
    file = installation.data / "vaguemestre.sqlite3"
    told = f"{file} lies on a file system that takes no writes now: mount it writable, or look to its disk."
    assert done.returncode == 1
    assert told in done.stderr.splitlines()
    assert "chmod" not in done.stderr
    assert "make room" not in done.stderr
