"""The whole configuration out and in again: the same, on both databases; or refused, with nothing changed."""

import copy
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ledger.kit import ACTOR, NOW, with_password
from vaguemestre.ledger import (
    connections,
    forms,
    instance,
    oauth2,
    report_schedule,
    source_addresses,
    streams,
    vault,
)
from vaguemestre.ledger import passphrase as seals
from vaguemestre.ledger.models import Connection, Form, ReportSchedule, SourceAddress, Stream
from vaguemestre.ledger.portable import export
from vaguemestre.ledger.portable_import import Manner, take_in
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret

pytestmark = pytest.mark.django_db
PASSPHRASE = Secret("un phare dans la brume")
CANARY = "canari-7Q-9f"


@pytest.fixture(autouse=True)
def _quickly_sealed(monkeypatch):
    """What a passphrase costs is `test_passphrase`'s matter, and a third of a second for each file here."""
    monkeypatch.setattr(seals, "_COST", 2**10)
    monkeypatch.setitem(seals._FORM, "n", 2**10)


@pytest.fixture(scope="module")
def service_key():
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "client_email": "relay@a.iam.example",
            "client_id": "17",
            "private_key": key.decode(),
            "private_key_id": "k1",
        }
    )


@pytest.fixture
def configured(service_key):
    """An installation with something of everything."""
    backup = with_password("Secours", password=CANARY, encryption="ssl", limits={"per_day": 500})
    with_password("Bureau", password=CANARY, is_default=True, backup=str(backup.uid), sender_name="Mairie",
                  reply_to="lea@example.org", allowed_senders=["*@example.org"], source_address="192.0.2.9")  # fmt: skip
    connections.create({"name": "Relais", "sender_email": "r@example.org", "host": "relay.example.org",
                        "encryption": "none", "active": False}, ACTOR, NOW)  # fmt: skip
    connections.create({"name": "Microsoft", "sender_email": "m@example.org", "host": "smtp.office365.com",
                        "login": "m@example.org", "auth": "oauth2", "oauth2": {
                            "provider": "microsoft", "grant": "client_credentials", "tenant": "example.org",
                            "client_id": "app", "client_secret": CANARY}}, ACTOR, NOW)  # fmt: skip
    connections.create({"name": "Google", "sender_email": "g@example.org", "host": "smtp.gmail.com",
                        "login": "g@example.org", "auth": "oauth2", "oauth2": {
                            "provider": "google", "grant": "jwt_bearer", "service_account_key": service_key}},
                       ACTOR, NOW)  # fmt: skip
    streams.create(
        {"key": "paie", "name": "Paie", "connection": str(backup.uid), "on_doubt": "hold"}, ACTOR, NOW
    )
    streams.edit("invoices", {"reply_to": "compta@example.org", "retention_days": 365}, ACTOR, NOW)
    forms.create({"name": "Contact", "fields": [{"name": "email", "label": "Email", "kind": "email"}],
                  "connection": str(backup.uid), "origins": ["https://www.example.org"]}, ACTOR, NOW)  # fmt: skip
    source_addresses.replace(
        [{"address": "203.0.113.7", "label": "Paris", "valid_from": "2027-01-01"}], ACTOR, NOW
    )
    instance.change_settings({"default_mode": "fallback"}, ACTOR, NOW)
    report_schedule.edit({"active": True, "recipients": ["ann@example.net"], "hour": 6}, ACTOR, NOW)


def emptied():
    """As a fresh installation is."""
    Form.objects.all().delete()
    Stream.objects.filter(built_in=False).delete()
    Stream.objects.update(connection=None, reply_to="", retention_days=30)
    Connection.objects.update(backup=None)
    Connection.objects.all().delete()
    SourceAddress.objects.all().delete()
    ReportSchedule.objects.all().delete()
    instance.change_settings({"default_mode": "override"}, ACTOR, NOW)


def through_json(document):
    return json.loads(json.dumps(document))


def refusal(document, manner=None):
    with pytest.raises(Refusal) as refused:
        take_in(document, manner or Manner(PASSPHRASE), ACTOR, NOW)
    return [(fault.field, fault.code) for fault in refused.value.errors]


def test_what_goes_out_comes_in_again(configured):
    document = through_json(export(NOW, PASSPHRASE).document)
    emptied()
    done = take_in(document, Manner(PASSPHRASE), ACTOR, NOW)

    assert done.created == ["Bureau", "Google", "Microsoft", "Relais", "Secours"]
    assert (done.replaced, done.incomplete, done.demoted) == ([], [], [])
    again = export(NOW, PASSPHRASE).document
    for part in ("settings", "streams", "forms", "source_addresses", "weekly_report"):
        assert again[part] == document[part]
    sealed = [{**one, "secret": "…"} for one in document["connections"]]
    assert [{**one, "secret": "…"} for one in through_json(again)["connections"]] == sealed
    assert connections.find("Bureau").backup.name == "Secours"


def test_a_weekly_report_that_is_set_stays_unless_it_is_to_be_replaced(configured):
    plain = {"format": "vaguemestre-configuration", "version": 1}
    assert refusal(plain | {"weekly_report": {"hour": 24}}, Manner(replace=True)) == [
        ("weekly_report.hour", "report_hour")
    ]
    assert refusal(plain | {"weekly_report": {"hour": 7}}) == [("weekly_report", "weekly_report_taken")]
    take_in(plain, Manner(), ACTOR, NOW)
    assert report_schedule.find().hour == 6
    take_in(plain | {"weekly_report": {"hour": 7}}, Manner(replace=True), ACTOR, NOW)
    assert (report_schedule.find().hour, report_schedule.find().active) == (7, True)


def test_every_secret_is_sealed_anew_by_this_vault(configured, service_key):
    document = export(NOW, PASSPHRASE).document
    emptied()
    take_in(through_json(document), Manner(PASSPHRASE), ACTOR, NOW)

    assert vault.secret_of(connections.find("Bureau")).reveal() == CANARY
    assert oauth2.kept_of(connections.find("Microsoft")).credentials.secret.reveal() == CANARY
    google = oauth2.kept_of(connections.find("Google")).credentials
    assert google.secret.reveal() == json.loads(service_key)["private_key"]
    assert google.key_id == "k1"
    assert vault.unreadable() == []


def test_no_secret_stands_in_the_document(configured, service_key):
    for passphrase in (None, PASSPHRASE):
        text = json.dumps(export(NOW, passphrase).document)
        assert CANARY not in text
        assert "BEGIN PRIVATE KEY" not in text
        assert PASSPHRASE.reveal() not in text


def test_without_a_passphrase_secrets_are_left_out_and_named(configured):
    exported = export(NOW)
    assert exported.left_out == ("Bureau", "Google", "Microsoft", "Secours")
    emptied()
    done = take_in(through_json(exported.document), Manner(), ACTOR, NOW)

    assert done.incomplete == ["Bureau", "Google", "Microsoft", "Secours"]
    office = connections.find("Bureau")
    assert (office.active, office.is_default, office.login, office.auth) == (False, False, "office", "none")
    with pytest.raises(Refusal, match="password"):
        connections.activate(str(office.uid), ACTOR, NOW)
    connections.edit(str(office.uid), {"password": CANARY, "active": True}, ACTOR, NOW)
    assert connections.find("Bureau").auth == "password"


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced(configured):
    document = through_json(export(NOW, PASSPHRASE).document)
    taken = [(f"connections[{place}].name", "name_taken") for place in range(len(document["connections"]))]
    assert refusal(document) == taken

    connections.edit(
        str(connections.find("Bureau").uid), {"host": "other.example.org", "password": "x"}, ACTOR, NOW
    )
    done = take_in(document, Manner(PASSPHRASE, replace=True), ACTOR, NOW)

    assert done.replaced == ["Bureau", "Google", "Microsoft", "Relais", "Secours"]
    assert connections.find("Bureau").host == "smtp.example.org"
    assert vault.secret_of(connections.find("Bureau")).reveal() == CANARY


def test_i12_two_defaults_are_refused_and_one_demotes_the_one_before(configured):
    document = through_json(export(NOW, PASSPHRASE).document)
    twice = copy.deepcopy(document)
    for one in twice["connections"]:
        one["is_default"] = True
    emptied()
    assert refusal(twice) == [("connections[1].is_default", "two_defaults")]
    assert not Connection.objects.exists()

    with_password("Avant", is_default=True)
    assert take_in(document, Manner(PASSPHRASE), ACTOR, NOW).demoted == ["Avant"]
    assert Connection.objects.get(is_default=True).name == "Bureau"


def test_a_wrong_passphrase_or_a_document_that_was_changed_opens_nothing(configured):
    document = through_json(export(NOW, PASSPHRASE).document)
    emptied()
    wrong = [("connections[0].passphrase", "passphrase_wrong")]
    assert refusal(document, Manner(Secret("une autre phrase"))) == wrong
    for name, value in (
        ("host", "evil.example.org"),
        ("port", 2525),
        ("encryption", "none"),
        ("login", "other"),
    ):
        moved = copy.deepcopy(document)
        moved["connections"][0][name] = value
        assert refusal(moved) == wrong
    swapped = copy.deepcopy(document)
    swapped["connections"][0]["secret"] = document["connections"][4]["secret"]
    assert refusal(swapped) == wrong
    assert refusal(document, Manner()) == [("passphrase", "passphrase_missing")]
    assert not Connection.objects.exists()


def test_secrets_that_are_there_can_be_left_out(configured):
    document = through_json(export(NOW, PASSPHRASE).document)
    emptied()
    assert len(take_in(document, Manner(without_secrets=True), ACTOR, NOW).incomplete) == 4


def test_a_short_passphrase_is_refused(configured):
    with pytest.raises(Invalid, match="at least 12"):
        export(NOW, Secret("trop court"))


CHANGES = [
    ({"format": "other"}, "format"),
    ({"version": 2}, "version"),
    ({"colour": 1}, "colour"),
    ({"settings": {"colour": 1}}, "colour"),
    ({"settings": []}, None),
    ({"settings": [1]}, "settings"),
    ({"connections": {}}, None),
    ({"connections": [1]}, "connections"),
    ({"connections": [{"name": "A", "colour": 1}]}, "connections[0].colour"),
    (
        {"connections": [{"name": "A", "sender_email": "x", "host": "a.example"}]},
        "connections[0].sender_email",
    ),
    ({"connections": [{"name": "A"}, {"name": "a"}]}, "connections[1].name"),
    ({"streams": [{"key": "x", "colour": 1}]}, "streams[0].colour"),
    ({"streams": [{"key": "x", "connection": "Nobody"}]}, "streams[0].connection"),
    ({"source_addresses": [{"address": "x"}]}, "source_addresses.items[0].address"),
    ({"secrets": {"kdf": "scrypt"}}, "secrets"),
    (
        {"secrets": {"kdf": "scrypt", "cipher": "AES-256-GCM", "n": 2**40, "r": 8, "p": 1, "salt": ""}},
        "secrets",
    ),
]


@pytest.mark.parametrize(("change", "field"), CHANGES, ids=range(len(CHANGES)))
def test_a_document_out_of_form_is_refused_at_its_place_and_nothing_changes(change, field):
    document = {**through_json(export(NOW).document), **change}
    if field is None:
        take_in(document, Manner(PASSPHRASE), ACTOR, NOW)
    else:
        assert refusal(document)[0][0] == field
    assert not Connection.objects.exists()


@pytest.mark.parametrize("document", [None, [], "x", 3, {}])
def test_what_is_no_document_is_refused(document):
    assert refusal(document) == [("format", "format_unknown")]


def test_a_fault_at_the_end_undoes_all_of_it(configured):
    document = through_json(export(NOW, PASSPHRASE).document)
    emptied()
    document["source_addresses"] = [{"address": "nowhere"}]
    assert refusal(document) == [("source_addresses.items[0].address", "ip_syntax")]
    assert not Connection.objects.exists()
    assert instance.settings()["default_mode"] == "override"
