"""`vaguemestre connection import`: a file, or standard input."""

from pathlib import Path

import pytest

from vaguemestre.ledger import vault
from vaguemestre.ledger.models import Connection

pytestmark = pytest.mark.django_db
PASTED = Path(__file__).parents[1] / "providers" / "pasted"


def test_a_file_becomes_an_inactive_connection_and_its_password_is_not_printed(command):
    done = command("connection", "import", str(PASTED / "wp-config.php.txt"), "--name", "Librairie")
    assert "Line 17, WPMS_DO_NOT_SEND: it is about mail, but nothing here corresponds to it." in done.output
    assert "Librairie is saved. Verify it before it carries mail." in done.output
    assert "passe" not in done.output
    saved = Connection.objects.get()
    assert (saved.host, saved.active, vault.secret_of(saved).reveal()) == (
        "mail.gandi.net", False, "mot 'de' passe // 5",
    )  # fmt: skip


def test_a_dry_run_creates_nothing(command):
    told = command("connection", "import", str(PASTED / "postfix.txt"), "--dry-run", "--json").json
    assert (len(told["found"]), told["created"]) == (3, [])
    one = ("connection", "import", str(PASTED / "wp-config.php.txt"), "--name", "Librairie", "--dry-run")
    assert command(*one, "--json").json["found"][0]["name"] == "Librairie"
    assert not Connection.objects.exists()


def test_a_file_that_cannot_be_read_or_holds_no_account_ends_with_1(command, tmp_path):
    nothing = tmp_path / "empty"
    nothing.write_text("A=1")
    assert command("connection", "import", str(nothing)).refusals == [
        "There is no account for sending in this text."
    ]
    assert "cannot be read" in command("connection", "import", str(tmp_path / "gone")).refusals[0]
