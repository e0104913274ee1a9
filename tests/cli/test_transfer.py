"""`vaguemestre export` and `import`: the document on standard output, the passphrase never an argument."""

import json

import pytest

from vaguemestre.ledger import vault
from vaguemestre.ledger.models import Connection

pytestmark = pytest.mark.django_db
PASSPHRASE = "un phare dans la brume\n"
CANARY = "canari-7Q-9f"
ADD = ("connection", "add", "Bureau", "--sender-email", "b@example.test", "--host", "smtp.example.test",
       "--login", "b", "--password-stdin")  # fmt: skip


@pytest.fixture
def exported(command, tmp_path):
    """A file with one connection, which is gone from the ledger."""
    command(*ADD, stdin=f"{CANARY}\n")
    path = tmp_path / "configuration.json"
    path.write_text(command("export", "--passphrase-stdin", stdin=PASSPHRASE).output)
    command("connection", "delete", "Bureau")
    return path


def test_a_connection_goes_out_and_comes_in_with_its_password(command, exported):
    assert CANARY not in exported.read_text()
    done = command("import", str(exported), "--passphrase-stdin", "--json", stdin=PASSPHRASE)
    assert done.json == {"created": ["Bureau"], "replaced": [], "incomplete": [], "demoted": []}
    assert vault.secret_of(Connection.objects.get(deleted_at=None)).reveal() == CANARY


def test_without_a_passphrase_the_document_says_nothing_of_the_password(command, exported, capsys):
    command("import", str(exported), "--passphrase-stdin", stdin=PASSPHRASE)
    document = command("export").json
    assert document["secrets"] is None
    assert "secret" not in document["connections"][0]


def test_a_wrong_passphrase_or_none_ends_with_1_and_changes_nothing(command, exported):
    for words, stdin, said in (
        (
            ("--passphrase-stdin",),
            "une autre phrase\n",
            "connections[0].passphrase: This passphrase does not open",
        ),
        ((), "", "passphrase: Its secrets are sealed: give the passphrase, or leave the secrets out."),
    ):
        refused = command("import", str(exported), *words, stdin=stdin)
        assert refused.status == 1
        assert refused.refusals[0].startswith(said)
    assert not Connection.objects.filter(deleted_at=None).exists()
    left_out = command("import", str(exported), "--without-secrets")
    assert left_out.output == "Bureau is created.\nBureau waits for its password, inactive.\n"


def test_what_is_no_export_is_refused_in_a_sentence(command, tmp_path):
    path = tmp_path / "other.json"
    for text, said in (
        ("{", "This is not an export of Vaguemestre: it is no JSON."),
        (json.dumps([1]), "format: This is not an export of Vaguemestre."),
    ):
        path.write_text(text)
        assert command("import", str(path)).refusals == [said]
    assert "cannot be read" in command("import", str(tmp_path / "gone")).refusals[0]
    both = command("import", "-", "--passphrase-stdin")
    assert both.refusals == ["Standard input cannot be both the document and the passphrase: name a file."]


def test_every_connection_that_cannot_be_taken_is_told_at_once(command, tmp_path):
    command(*ADD, stdin="s\n")
    command("connection", "add", "Atelier", "--sender-email", "a@example.test", "--host", "smtp.example.test")
    path = tmp_path / "configuration.json"
    path.write_text(command("export").output)
    places = [line.partition(":")[0] for line in command("import", str(path)).refusals]
    assert places == ["connections[0].name", "connections[1].name"]
