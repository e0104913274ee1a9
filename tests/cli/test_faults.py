"""What the command says when something is wrong: sentences, never a traceback."""

import base64
import json
import os
import socket
import sqlite3
from contextlib import closing

import pytest

from cli.installation import Installation
from scripted.certificates import the_authority
from vaguemestre.cli import preparation

SPARE_KEY = base64.b64encode(b"another key of 32 bytes, not it!").decode()


def says(done, *sentences, status=1):
    """It ended with that status, and with these lines alone."""
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines() == list(sentences)
    assert done.stdout == ""
    assert done.returncode == status


def test_a_busy_port_is_named_with_what_to_change(installation):
    with socket.create_server(("127.0.0.1", installation.web)):
        says(
            installation.run("up"),
            f"Port {installation.web} on 127.0.0.1 is in use: stop what uses it, or change VAGUEMESTRE_WEB_BIND.",
        )


def test_a_busy_submission_port_is_named_too(installation):
    with socket.create_server(("127.0.0.1", installation.submission)):
        says(
            installation.run("up"),
            f"Port {installation.submission} on 127.0.0.1 is in use:"
            " stop what uses it, or change VAGUEMESTRE_SUBMISSION_BIND.",
        )


def test_a_strange_address_is_refused(installation):
    says(
        installation.run("up", VAGUEMESTRE_WEB_BIND="192.0.2.1:8587"),
        "192.0.2.1:8587 is not an address of this machine: change VAGUEMESTRE_WEB_BIND.",
    )


def test_l07_an_unwritable_data_directory_is_named(tmp_path):
    (tmp_path / "file").touch()
    data = tmp_path / "file" / "data"
    says(
        Installation(data).run("up"),
        f"The data directory {data} cannot be written (Not a directory):"
        " make it writable or set VAGUEMESTRE_DATA_DIR to another one.",
    )


@pytest.mark.parametrize(
    ("name", "variable"), [("secret.key", "VAGUEMESTRE_SECRET_KEY"), ("vault.key", "VAGUEMESTRE_VAULT_KEYS")]
)
def test_l12_a_key_missing_beside_data_is_not_made_anew(installation, name, variable):
    path = installation.data / name
    path.unlink()
    says(
        installation.run("up"),
        f"The key {path} is missing beside existing data: restore it from a backup or set {variable} to its value.",
    )
    assert not path.exists()


def test_l12_another_vault_key_is_told_before_anything_starts(installation):
    (installation.data / "vault.key").write_text(SPARE_KEY)
    says(
        installation.run("up"),
        "The vault keys are not the ones this database was made with:"
        " restore vault.key or set VAGUEMESTRE_VAULT_KEYS to the old key.",
        "Nothing was started.",
    )


def test_l07_a_broken_database_is_told(installation):
    (installation.data / "vault.key").unlink()
    (installation.data / "vaguemestre.sqlite3").write_bytes(b"not a database" * 1000)
    done = installation.run("up")
    says(
        done,
        f"The database {installation.data / 'vaguemestre.sqlite3'} cannot be read (file is not a database):"
        " restore it from a backup.",
    )


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path):
    done = Installation(tmp_path / "data").run("up", DATABASE_URL="postgresql://me:s3cret@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr.startswith("The database of DATABASE_URL cannot be used: connection failed: ")
    assert done.stderr.endswith("failed: Connection refused.\n")
    assert len(done.stderr.splitlines()) == 1
    assert "s3cret" not in done.stderr


def test_l07_check_names_the_database_that_is_damaged(installation):
    file = installation.data / "vaguemestre.sqlite3"
    file.write_bytes(b"not a database" * 1000)
    says(
        installation.run("check"),
        f"The database {file} cannot be used: file is not a database; the file {file} is damaged:"
        " stop Vaguemestre, move its data directory aside, and restore the latest backup.",
    )


def test_check_reads_all_of_a_database_since_a_damage_is_met_where_it_is(installation):
    file = installation.data / "vaguemestre.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ledger_event'"
        ).fetchone()
    with file.open("r+b") as opened:
        opened.seek((page - 1) * 4096)
        opened.write(b"\xff" * 64)
    done = installation.run("check")
    assert done.returncode == 1
    assert f"the file {file} is damaged" in done.stderr


def test_l12_check_names_each_connection_whose_stored_password_cannot_be_read(installation):
    words = ("--sender-email", "a@example.test", "--host", "smtp.example.test", "--login", "me")
    for name in ("Office", "Night shift"):
        added = installation.run("connection", "add", name, *words, "--password-stdin", stdin="canary-7f1\n")
        assert added.returncode == 0, added.stderr
    assert installation.run("check").returncode == 0
    with closing(sqlite3.connect(installation.data / "vaguemestre.sqlite3")) as database:
        database.execute(
            "UPDATE ledger_secret SET sealed = zeroblob(60) WHERE connection_id = (SELECT max(connection_id) FROM ledger_secret)"
        )
        database.commit()
    says(
        installation.run("check"),
        "The stored password of Night shift cannot be read:"
        " type it again with `vaguemestre connection edit 'Night shift' --ask-password`.",
    )


def applied(installation, statement):
    with closing(sqlite3.connect(installation.data / "vaguemestre.sqlite3")) as database, database:
        database.execute(statement)


def test_a_database_that_a_later_version_changed_is_told_and_nothing_starts_on_it(installation):
    applied(
        installation,
        "INSERT INTO django_migrations (app, name, applied) VALUES ('ledger', '9999_hence', '2026-11-29')",
    )
    told = (
        "The database is of a later version of Vaguemestre, which has applied ledger.9999_hence:"
        " install that version again, or restore what was backed up before the upgrade."
    )
    says(installation.run("check"), told)
    says(installation.run("migrate"), told)
    says(installation.run("up"), told, "Nothing was started.")
    for alone in ("web", "submission", "courier"):
        says(installation.run(alone), told)


@pytest.mark.parametrize("process", ["web", "submission", "courier"])
def test_l12_a_process_alone_starts_neither_without_its_keys_nor_beside_other_tables(installation, process):
    key = installation.data / "vault.key"
    kept = key.read_text()
    key.unlink()
    remedy = "restore it from a backup or set VAGUEMESTRE_VAULT_KEYS to its value."
    says(installation.run(process), f"The key {key} is missing beside existing data: {remedy}")
    key.write_text(base64.b64encode(b"f" * 32).decode())
    foreign = "The vault keys are not the ones this database was made with: restore vault.key or set "
    says(installation.run(process), f"{foreign}VAGUEMESTRE_VAULT_KEYS to the old key.")
    key.write_text(kept)
    applied(installation, "DELETE FROM django_migrations WHERE name = '0030_numbers_first'")
    says(installation.run(process), "1 migrations are not applied: run `vaguemestre migrate`.")


def test_rows_that_contradict_a_new_version_are_told_in_a_sentence(installation):
    applied(installation, "DELETE FROM django_migrations WHERE name = '0030_numbers_first'")
    orphan = "INSERT INTO ledger_optout (address, at, stream_id) VALUES ('a@example.net', '2026-11-29', 99)"
    applied(installation, orphan)
    done = installation.run("migrate")
    assert done.returncode == 1
    assert done.stderr.startswith("The database could not be brought to this version, since its rows ")
    assert "ledger_optout.stream_id contains a value '99'" in done.stderr
    says(installation.run("check"), "1 migrations are not applied: run `vaguemestre migrate`.")


def test_tables_are_not_changed_under_an_up_that_was_made_for_them_as_they_are(installation):
    applied(installation, "DELETE FROM django_migrations WHERE name = '0030_numbers_first'")
    lock = preparation.alone(installation.data)
    try:
        told = f"Another `vaguemestre up`, or a `migrate`, is at work on {installation.data}:"
        says(installation.run("migrate"), f"{told} stop it, or let it end, first.")
    finally:
        os.close(lock)


def test_every_error_of_the_environment_is_told_at_once(installation):
    wrong = {
        "VAGUEMESTRE_WEB_BIND": "nowhere",
        "DATABASE_URL": "oracle://x",
        "VAGUEMESTRE_EGRESS_PORTS": "25,smtp",
        "VAGUEMESTRE_LANGUAGE": "tlh",
        "VAGUEMESTRE_RETRY_DELAYS": "60,0",
        "VAGUEMESTRE_DOUBT_DELAY": "",  # set to nothing is not set
    }
    says(
        installation.run("up", **wrong),
        "VAGUEMESTRE_WEB_BIND: Give an address and a port: 127.0.0.1:8587.",
        "DATABASE_URL: Give postgresql://USER:PASSWORD@HOST/NAME, or sqlite:///PATH.",
        "VAGUEMESTRE_EGRESS_PORTS: 'smtp' is not a port or a range of ports. Write the list like 25,465,2000-2100.",
        "VAGUEMESTRE_LANGUAGE: Give one of: fr, en, it.",
        "VAGUEMESTRE_RETRY_DELAYS: Give seconds separated by commas, such as 60,300,900.",
    )


def test_check_tells_that_others_can_read_the_database_as_after_a_restore(installation):
    file = installation.data / "vaguemestre.sqlite3"
    file.chmod(0o644)
    assert installation.run("check").returncode == 0, "nobody comes through its folder"
    installation.data.chmod(0o755)
    says(installation.run("check"), f"{file} holds all mail and can be read by others: run chmod 600 {file}")


def test_check_tells_that_the_certificate_of_the_listener_has_ended(installation, tmp_path):
    certificate = the_authority().expired()
    chain, key = certificate.write(tmp_path)
    files = {"VAGUEMESTRE_SUBMISSION_CERTIFICATE": str(chain), "VAGUEMESTRE_SUBMISSION_KEY": str(key)}
    when = f"ended on {certificate.ends_at:%Y-%m-%d}"
    told = (
        f"The listener's certificate, {chain}, {when}: submitters that check it hand over nothing. Renew it."
    )
    says(installation.run("check", **files), told)


def test_check_goes_on_behind_errors_of_the_environment(installation):
    (installation.data / "vault.key").unlink()
    os.chmod(installation.data / "secret.key", 0o644)  # noqa: PTH101
    says(
        installation.run("check", VAGUEMESTRE_LANGUAGE="tlh"),
        "VAGUEMESTRE_LANGUAGE: Give one of: fr, en, it.",
        f"There is no vault.key in {installation.data} and no VAGUEMESTRE_VAULT_KEYS.",
        f"{installation.data / 'secret.key'} can be read by others: run chmod 600 {installation.data / 'secret.key'}",
    )


def test_check_names_a_file_of_variables_that_holds_secrets_for_all_to_read(installation):
    path = installation.data / ".env"
    path.write_text("VAGUEMESTRE_LANGUAGE=en\n")
    path.chmod(0o644)
    assert installation.run("check").returncode == 0
    path.write_text(f"VAGUEMESTRE_SECRET_KEY={'k' * 32}\n")
    says(
        installation.run("check"),
        f"{path} holds secrets and can be read by others: run chmod 600 {path}",
    )


def test_check_is_content_with_a_sound_installation(installation):
    done = installation.run("check")
    assert (done.returncode, done.stdout) == (0, "Everything is in order.\n")


def test_check_warns_of_a_listener_for_others_that_can_hand_over_nothing(installation):
    far = {"VAGUEMESTRE_SUBMISSION_BIND": "0.0.0.0:2525"}
    done = installation.run("check", **far)
    assert done.returncode == 0
    assert done.stdout.startswith("VAGUEMESTRE_SUBMISSION_BIND: other machines reach 0.0.0.0:2525, but ")
    told = json.loads(installation.run("check", "--json", **far).stdout)
    assert told == {"ok": True, "problems": [], "warnings": [done.stdout.strip()]}
    trust = {"VAGUEMESTRE_SUBMISSION_TRUST": "192.168.1.0/24"}
    assert installation.run("check", **far, **trust).stdout == "Everything is in order.\n"


def test_check_says_that_nothing_is_sent_while_that_is_paused(installation):
    assert installation.run("sending", "pause").returncode == 0
    says(
        installation.run("check"),
        "Sending is paused: whatever is handed over waits. Resume it when you are ready: what waits leaves then."
        " The command is `vaguemestre sending resume [--cancel-waiting|--send-waiting]`.",
    )


def test_a_command_before_the_first_start_makes_no_database(tmp_path):
    installation = Installation(tmp_path / "data")
    done = installation.run("connection", "list")
    says(
        done,
        f"There is no database in {installation.data} yet:"
        " run `vaguemestre up` or `vaguemestre migrate`, or set VAGUEMESTRE_DATA_DIR.",
    )
    assert not installation.data.exists()


def test_l13_a_missing_key_is_made_where_there_is_no_data_yet(tmp_path):
    installation = Installation(tmp_path / "data")
    installation.data.mkdir()
    (installation.data / "vaguemestre.sqlite3").touch()
    assert installation.run("migrate").returncode == 0
    assert len(base64.b64decode((installation.data / "vault.key").read_text())) == 32


def test_wrong_usage_is_status_2(installation):
    for words in (["nonsense"], ["connection", "add"], ["key", "create", "x", "--scope", "everything"]):
        done = installation.run(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: vaguemestre")


def test_up_starts_nothing_where_two_binds_meet_and_check_says_the_same(installation):
    bind = f"127.0.0.1:{installation.web}"
    told = f"VAGUEMESTRE_SUBMISSION_BIND: {bind} meets VAGUEMESTRE_WEB_BIND ({bind}): give another port."
    for word in ("up", "check"):
        says(installation.run(word, VAGUEMESTRE_SUBMISSION_BIND=bind), told)


def test_a_key_file_that_holds_no_key_is_told_by_check_and_by_up(installation):
    (installation.data / "vault.key").write_text("none")
    for word in ("up", "check"):
        says(installation.run(word), "VAGUEMESTRE_VAULT_KEYS: Each key is 32 random bytes in base64.")


def test_a_time_that_is_none_is_told_in_words(installation):
    for text in ("tomorrow", "2027-01-31T08:00:00"):
        done = installation.run("send", "--to", "a@example.test", "--text", "x", "--send-at", text)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == (
            f"vaguemestre send: error: argument --send-at: {text!r} is not a time with its offset,"
            " such as 2027-01-31T08:00:00+01:00"
        )


def test_a_setting_that_there_is_not_is_told_with_those_there_are(installation):
    done = installation.run("setting", "set", "mode", "override")
    assert done.returncode == 2
    assert "'mode'" in done.stderr
    assert "default_mode" in done.stderr
