"""L8: a stored secret goes only where it was saved for, and appears nowhere."""

import base64
import subprocess
from pathlib import Path

import pytest
import trustme
from django.db import connection as database

from ledger.kit import (
    ACTOR,
    NOW,
    connect,
    elsewhere,
    fault_codes,
    fresh,
    on_postgresql,
    post,
    sql,
    with_password,
)
from scripted.vault_keys import FOREIGN, use_keys
from vaguemestre.ledger import connections, hops, lanes, resources, vault, verifications
from vaguemestre.ledger import models as tables
from vaguemestre.ledger.connections import saved_draft
from vaguemestre.ledger.models import Connection, Instance, Version
from vaguemestre.ledger.models import Secret as Stored
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.vault import KeyMissing, Unreadable
from vaguemestre.mail.secret import Secret

pytestmark = pytest.mark.django_db

CANARY = "c4n4ry-Pa55word-\u00e9-never-shown"
PIN = "ab" * 32
MOVES = {
    "host": {"host": "smtp.evil.example"},
    "port": {"port": 2525},
    "encryption and its port": {"encryption": "ssl"},
    "encryption alone": {"encryption": "ssl", "port": 587},
    "login": {"login": "someone-else"},
    "pinned certificate": {"pinned_certificate": PIN},
    "auth": {"auth": "none"},
    "login emptied": {"login": ""},
}


OLD, NEW = b"k" * 32, b"n" * 32


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("act", ["save", "verify"])
def test_a_bound_value_does_not_change_without_the_password_typed_again(move, act):
    office = with_password(password=CANARY)
    before = Connection.objects.values().get(pk=office.pk)
    acts = {
        "save": lambda: connections.edit(str(office.uid), MOVES[move], ACTOR, NOW),
        "verify": lambda: connections.draft(MOVES[move], str(office.uid)),
    }
    with pytest.raises(Refusal) as caught:
        acts[act]()
    assert fault_codes(caught.value) == {("password", "password_again")}
    assert Connection.objects.values().get(pk=office.pk) == before
    assert vault.secret_of(fresh(office)).reveal() == CANARY
    assert Version.objects.filter(subject=str(office.uid)).count() == 1


@pytest.mark.parametrize("move", [move for move in MOVES if move not in {"auth", "login emptied"}])
def test_a_bound_value_changes_with_the_password(move):
    office = with_password()
    connections.edit(str(office.uid), MOVES[move] | {"password": CANARY}, ACTOR, NOW)
    assert vault.secret_of(fresh(office)).reveal() == CANARY


def test_other_values_change_without_it_and_the_secret_stays():
    office = with_password(password=CANARY)
    values = {"name": "New", "sender_email": "new@example.org", "limits": {"per_day": 3}, "password": ""}
    connections.edit(str(office.uid), values, ACTOR, NOW)
    assert vault.secret_of(fresh(office)).reveal() == CANARY
    assert connections.draft({"sender_name": "x"}, str(office.uid)).hop.secret.reveal() == CANARY


def test_the_same_values_written_another_way_are_no_change():
    office = with_password(host="mail.b\u00fccher.example", password=CANARY)
    connections.edit(str(office.uid), {"host": "MAIL.xn--bcher-kva.example.", "port": "587"}, ACTOR, NOW)
    assert vault.secret_of(fresh(office)).reveal() == CANARY


def test_a_draft_of_a_new_connection_has_only_the_typed_secret():
    with_password(password=CANARY)
    values = {"sender_email": "a@example.org", "host": "smtp.example.org"}
    assert connections.draft(values).hop.secret is None
    assert connections.draft(values | {"login": "x", "password": "typed"}).hop.secret.reveal() == "typed"


def test_a_password_is_forgotten_with_its_login():
    office = with_password()
    connections.edit(str(office.uid), {"clear_password": True, "login": ""}, ACTOR, NOW)
    assert (fresh(office).auth, Stored.objects.count()) == ("none", 0)
    assert lanes.hop_of(office.pk).secret is None
    assert not resources.connection_resource(fresh(office))["has_password"]


def test_forgetting_and_typing_a_password_at_once_keeps_the_typed_one():
    office = with_password()
    connections.edit(str(office.uid), {"clear_password": True, "password": CANARY}, ACTOR, NOW)
    assert vault.secret_of(fresh(office)).reveal() == CANARY


def test_forgetting_the_password_of_a_login_that_stays_is_refused():
    office = with_password(password=CANARY)
    with pytest.raises(Refusal) as caught:
        connections.edit(str(office.uid), {"clear_password": True}, ACTOR, NOW)
    assert fault_codes(caught.value) == {("password", "password_missing")}
    assert vault.secret_of(fresh(office)).reveal() == CANARY


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("host", "smtp.evil.example"),
        ("port", 2525),
        ("encryption", "ssl"),
        ("login", "someone-else"),
        ("pinned_certificate", PIN),
        ("auth", "oauth2"),
        ("uid", "0" * 32),
    ],
)
def test_a_row_edited_by_hand_makes_its_secret_unreadable_and_never_used(column, value):
    office = with_password()
    sql(f"UPDATE ledger_connection SET {column} = %s", value)
    moved = Connection.objects.get()
    with pytest.raises(Unreadable):
        vault.secret_of(moved)
    with pytest.raises(Unreadable):
        lanes.hop_of(office.pk)
    with pytest.raises(Unreadable):
        saved_draft(moved)


def test_a_secret_moved_to_another_connection_is_unreadable():
    one, two = with_password(), with_password("Other", password=CANARY)
    sealed = Stored.objects.get(connection=two).sealed
    Stored.objects.filter(connection=one).update(sealed=sealed)
    with pytest.raises(Unreadable):
        vault.secret_of(fresh(one))


def test_a_connection_whose_secret_is_unreadable_can_be_switched_off_and_mended():
    office = with_password(is_default=True)
    sql("UPDATE ledger_connection SET host = 'smtp.evil.example'")
    uid = str(office.uid)
    connections.edit(uid, {"is_default": False}, ACTOR, NOW)
    connections.deactivate(uid, ACTOR, NOW)
    with pytest.raises(Refusal) as caught:
        connections.draft({"sender_name": "x"}, uid)
    assert fault_codes(caught.value) == {("password", "password_unreadable")}
    connections.edit(uid, {"host": "smtp.example.org", "password": CANARY, "active": True}, ACTOR, NOW)
    assert vault.secret_of(fresh(office)).reveal() == CANARY


@pytest.mark.parametrize("cut", [0, 1, 4, 5, 15, 16, 20, 31])
def test_a_sealed_secret_that_was_cut_short_is_told_as_such(cut):
    with_password()
    row = Stored.objects.get()
    row.sealed = bytes(row.sealed)[:cut]
    row.save()
    with pytest.raises((Unreadable, KeyMissing)):
        vault.secret_of(Connection.objects.get())


def test_every_sealing_has_a_nonce_of_its_own():
    bound = vault.length_prefixed(["a", "b"])
    sealed = {vault.seal(Secret(CANARY), bound) for _ in range(50)}
    assert len({one[4:16] for one in sealed}) == 50
    assert {len(one) for one in sealed} == {4 + 12 + len(CANARY.encode()) + 16}


def test_no_two_lists_of_values_are_bound_alike():
    assert vault.length_prefixed(["a", "bc"]) != vault.length_prefixed(["ab", "c"])
    assert vault.length_prefixed(["", "a"]) != vault.length_prefixed(["a", ""])
    assert vault.length_prefixed(["a"]) != vault.length_prefixed(["a", ""])


# keys


def test_a_wrong_key_is_told_at_the_start_and_opens_nothing(monkeypatch):
    office = with_password()
    vault.check_canary()
    use_keys(monkeypatch, FOREIGN)
    with pytest.raises(KeyMissing, match=r"vault\.key"):
        vault.check_canary()
    with pytest.raises(KeyMissing):
        vault.secret_of(fresh(office))
    use_keys(monkeypatch)
    with pytest.raises(KeyMissing):
        vault.check_canary()


def test_the_canary_is_written_once():
    vault.check_canary()
    before = bytes(Instance.objects.get().canary)
    vault.check_canary()
    assert bytes(Instance.objects.get().canary) == before
    assert before


def test_keys_rotate_and_the_old_one_can_go(monkeypatch):
    office, other = with_password(password=CANARY), with_password("Other")
    verified = hops.fingerprint(office, vault.secret_of(office))
    use_keys(monkeypatch, NEW, OLD)
    assert vault.secret_of(fresh(office)).reveal() == CANARY
    assert vault.rotate(NOW) == 2
    use_keys(monkeypatch, NEW)
    vault.check_canary()
    assert vault.secret_of(fresh(office)).reveal() == CANARY
    assert vault.secret_of(fresh(other)).reveal() == "hunter2-hunter2"
    assert hops.fingerprint(office, vault.secret_of(office)) == verified
    use_keys(monkeypatch, OLD)
    with pytest.raises(KeyMissing):
        vault.secret_of(fresh(office))


def test_a_verification_counts_after_the_old_key_is_gone(monkeypatch):
    office = with_password()
    use_keys(monkeypatch, NEW, OLD)
    vault.rotate(NOW)
    use_keys(monkeypatch, NEW)
    draft = saved_draft(fresh(office))
    verifications.keep(draft.fingerprint, office, verifications.Record(ok=True), NOW)
    assert verifications.state_of(fresh(office)).state == "verified"


def test_rotating_without_the_key_of_one_changes_nothing(monkeypatch):
    with_password(), with_password("Other")
    before = [bytes(row.sealed) for row in Stored.objects.order_by("pk")]
    canary = bytes(Instance.objects.get().canary)
    use_keys(monkeypatch, NEW)
    with pytest.raises(KeyMissing):
        vault.rotate(NOW)
    assert [bytes(row.sealed) for row in Stored.objects.order_by("pk")] == before
    assert bytes(Instance.objects.get().canary) == canary


def test_a_lost_key_is_given_up_and_what_it_sealed_is_typed_again(monkeypatch):
    office, other = with_password(password=CANARY), with_password("Other")
    with pytest.raises(Conflict):
        vault.forget(ACTOR, NOW)
    assert vault.secret_of(fresh(office)).reveal() == CANARY
    use_keys(monkeypatch, NEW)
    assert vault.forget(ACTOR, NOW) == ["Office", "Other"]
    vault.check_canary()
    with pytest.raises(Unreadable):
        vault.secret_of(fresh(office))
    assert vault.unreadable() == [office, other]
    connections.edit(str(office.uid), {"password": "typed-again"}, ACTOR, NOW)
    assert vault.secret_of(fresh(office)).reveal() == "typed-again"
    assert vault.rotate(NOW) == 1
    with pytest.raises(Conflict):
        vault.forget(ACTOR, NOW)
    use_keys(monkeypatch, OLD)
    with pytest.raises(KeyMissing):
        vault.check_canary()


def test_a_secret_that_is_unreadable_does_not_keep_the_others_from_rotating(monkeypatch):
    with_password(), with_password("Other")
    sql("UPDATE ledger_connection SET host = 'smtp.evil.example' WHERE name = 'Other'")
    use_keys(monkeypatch, NEW, OLD)
    assert vault.rotate(NOW) == 1


@pytest.mark.django_db(transaction=True)
def test_a_password_saved_during_a_rotation_is_not_overwritten(monkeypatch):
    office = with_password()
    unseal, met = vault.unseal, []

    def save_meanwhile(*sealed):
        secret = unseal(*sealed)
        if on_postgresql() and not met:
            met.append(secret)
            with pytest.raises(TimeoutError):
                _save_within(office, 0.5)
        return secret

    monkeypatch.setattr(vault, "unseal", save_meanwhile)
    vault.rotate(NOW)
    connections.edit(str(office.uid), {"password": CANARY}, ACTOR, NOW)
    assert elsewhere(lambda: vault.secret_of(fresh(office))).reveal() == CANARY


def _save_within(office, seconds):
    """Save a password from elsewhere; it waits for the rotation, so that the time runs out."""

    def save():
        sql(f"SET lock_timeout = '{int(seconds * 1000)}ms'")
        connections.edit(str(office.uid), {"password": "meanwhile-meanwhile"}, ACTOR, NOW)

    try:
        elsewhere(save)
    except Exception as error:
        raise TimeoutError from error


# nowhere


@pytest.mark.django_db(transaction=True)
def test_a_password_is_found_nowhere():
    office = with_password(password=CANARY, is_default=True)
    connections.edit(str(office.uid), {"password": CANARY + "2", "host": "b.example"}, ACTOR, NOW)
    draft = connections.draft({"password": CANARY + "3"}, str(office.uid))
    verifications.keep(draft.fingerprint, office, verifications.Record(ok=False), NOW)
    post()
    saved = connections.edit(str(office.uid), {"name": "Renamed"}, ACTOR, NOW)
    row = fresh(office)
    told = [
        draft,
        draft.hop,
        saved,
        row,
        row.secret,
        vault.secret_of(row),
        lanes.hop_of(row.pk),
        saved_draft(row),
    ]
    told += [vars(row), Version.objects.values(), resources.connection_resource(row), connections.Saved(row)]
    told += [vault.KeyMissing("x"), tables.Secret.objects.all()]
    shown = "".join(f"{one!r}{one!s}" for one in told).encode()
    stored = _stored_bytes()
    assert stored.count(b"Renamed") > 0
    for needle in (CANARY.encode(), CANARY.encode("unicode_escape"), base64.b64encode(CANARY.encode())[:-4]):
        assert shown.count(needle) == 0
        assert stored.count(needle) == 0


def test_a_refusal_does_not_repeat_what_was_typed():
    with pytest.raises(Refusal) as caught:
        connect(encryption="none", login="office", password=CANARY + "\x00", port="no")
    assert CANARY not in f"{caught.value!r} {caught.value} {caught.value.errors!r}"


def _stored_bytes():
    """All that the database has on disk, or in its tables."""
    if on_postgresql():
        tables_there = [
            name for (name,) in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        rows = "".join(str(sql(f'SELECT t::text FROM "{name}" t')) for name in tables_there)
        sealed = b"".join(bytes(sealed) for (sealed,) in sql("SELECT sealed FROM ledger_secret"))
        return rows.encode() + sealed
    name = database.settings_dict["NAME"]
    there = [path for path in Path(name).parent.glob(f"{Path(name).name}*") if path.is_file()]
    # By another process: to close one of them here would drop the locks that SQLite holds on it, and who then
    # closes the database elsewhere takes its log away.
    return subprocess.run(["cat", *there], capture_output=True, check=True).stdout


def test_a_pin_is_a_fingerprint_or_a_certificate():
    authority = trustme.CA().cert_pem.bytes().decode()
    for number, pin in enumerate((PIN, PIN.upper(), ":".join(["AB"] * 32), authority, "")):
        office = connect(f"Pinned {number}", pinned_certificate=pin)
        assert office.pinned_certificate == pin.strip()
    for bad in (
        "hello",
        "ab" * 31,
        PIN + "ab",
        "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----",
        5,
        "\xe9",
    ):
        with pytest.raises(Refusal) as caught:
            connect("Bad", pinned_certificate=bad)
        assert fault_codes(caught.value) == {("pinned_certificate", "certificate_syntax")}
