"""API keys: shown once, found by a prefix, compared whole, worthless once revoked."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from ledger.kit import ACTOR, NOW, fault_codes, fresh, later
from vaguemestre.ledger import keys
from vaguemestre.ledger.models import ApiKey, Version
from vaguemestre.ledger.refusals import Missing, Refusal

pytestmark = pytest.mark.django_db


def test_a_key_authenticates_and_only_its_digest_is_kept():
    key, text = keys.create("Shop", ["read", "send", "send"], ACTOR, NOW)
    assert keys.authenticate(text, NOW) == key
    row = ApiKey.objects.values().get()
    assert row["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert row["scopes"] == ["read", "send"]
    secret = text.rpartition("_")[2] if text.count("_") == 2 else text[17:]
    assert secret not in f"{row} {Version.objects.values()} {key!r} {keys.resource(key)}"
    assert len(secret) >= 43


def test_two_keys_never_agree():
    made = {keys.create("Shop", ["send"], ACTOR, NOW)[1] for _ in range(20)}
    assert len(made) == 20


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text.upper(),
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: text[:16],
        lambda text: text[:17] + "x" * 43,
        lambda text: text.replace("vgm", "\0gm"),
        lambda _: "",
        lambda _: "vgm_",
        lambda _: "vgm_" + "\0" * 12 + "_" + "x" * 43,
        lambda _: "vgm_\ud800",
    ],
)
def test_a_text_that_is_not_quite_the_key_is_none(spoil):
    _, text = keys.create("Shop", ["send"], ACTOR, NOW)
    assert keys.authenticate(spoil(text), NOW) is None


@given(text=some.text(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_i04_no_text_breaks_authentication(text):
    assert keys.authenticate(text, NOW) is None


def test_a_revoked_key_is_worthless_for_good_and_stays_in_the_list():
    key, text = keys.create("Shop", ["send"], ACTOR, NOW)
    keys.revoke(str(key.uid), ACTOR, later(days=1))
    keys.revoke(str(key.uid), ACTOR, later(days=2))
    assert keys.authenticate(text, later(days=3)) is None
    assert fresh(key).revoked_at == later(days=1)
    assert keys.all_keys() == [key]
    assert list(Version.objects.filter(kind="key").order_by("number").values_list("action", flat=True)) == [
        "created",
        "revoked",
    ]


@pytest.mark.parametrize("uid", ["", "nothing", "0" * 32, "\0"])
def test_revoking_a_key_that_is_not_there_is_said(uid):
    with pytest.raises(Missing):
        keys.revoke(uid, ACTOR, NOW)


def test_the_last_use_is_noted_at_most_once_a_minute():
    key, text = keys.create("Shop", ["send"], ACTOR, NOW)
    noted = []
    for at in (NOW, later(seconds=30), later(seconds=60), later(seconds=61), later(seconds=90)):
        keys.authenticate(text, at)
        noted.append((fresh(key).last_used_at - NOW).total_seconds())
    assert noted == [0, 0, 0, 61, 61]


def test_a_wrong_key_is_not_noted_as_used():
    key, text = keys.create("Shop", ["send"], ACTOR, NOW)
    keys.authenticate(text[:-1] + ("A" if text[-1] != "A" else "B"), NOW)
    assert fresh(key).last_used_at is None


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"name": ""}, ("name", "name_empty")),
        ({"name": "x" * 101}, ("name", "too_long")),
        ({"name": "a\nb"}, ("name", "name_empty")),
        ({"scopes": []}, ("scopes", "scope_unknown")),
        ({"scopes": ["send", "everything"]}, ("scopes", "scope_unknown")),
        ({"streams": ["nowhere"]}, ("streams", "stream_unknown")),
        ({"networks": ["192.0.2.1/24"]}, ("networks", "network_syntax")),
        ({"networks": ["everywhere"]}, ("networks", "network_syntax")),
        ({"senders": ["nobody"]}, ("senders", "allowed_sender_syntax")),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(values, fault):
    with pytest.raises(Refusal) as caught:
        keys.create(**{"name": "Shop", "scopes": ["send"], "actor": ACTOR, "now": NOW} | values)
    assert fault_codes(caught.value) == {fault}
    assert not ApiKey.objects.exists()


def test_a_key_keeps_its_limits_in_canonical_form():
    key, _ = keys.create(
        "Shop", ["send"], ACTOR, NOW, streams=["reports"], senders=["A@Example.org", "*@B\u00fccher.example"],
        networks=["192.0.2.0/24", "2001:DB8::/32", "127.0.0.1"],
    )  # fmt: skip
    told = keys.resource(fresh(key))
    assert told["senders"] == ["a@example.org", "*@xn--bcher-kva.example"]
    assert told["networks"] == ["192.0.2.0/24", "2001:db8::/32", "127.0.0.1/32"]
    assert told["streams"] == ["reports"]
    (journal,) = Version.objects.all()
    limits = ("streams", "senders", "networks")
    assert {name: journal.changes[name] for name in limits} == {name: told[name] for name in limits}


def test_everything_that_is_wrong_with_a_key_is_told_at_once():
    with pytest.raises(Refusal) as caught:
        keys.create("", [], ACTOR, NOW, streams=["x"], senders=["no", "a@b.example", "nor"], networks=["y"])
    assert [(fault.field, fault.facts.get("typed")) for fault in caught.value.errors] == [
        ("name", None), ("scopes", None), ("streams", "x"), ("networks", "y"), ("senders", "no"), ("senders", "nor"),
    ]  # fmt: skip
