"""L11: what is typed into a connection is taken as it is or refused at its field, all faults at once."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from ledger.kit import ACTOR, NOW, connect, fault_codes, fresh, with_password
from vaguemestre.ledger import connections, fields
from vaguemestre.ledger.models import Connection, Version
from vaguemestre.ledger.refusals import Missing, Refusal

pytestmark = pytest.mark.django_db

HUGE = "9" * 5000
BAD = [
    ("name", "", "name_empty"),
    ("name", None, "name_empty"),
    ("name", "   ", "name_empty"),
    ("name", "\u200b\u00ad", "name_empty"),
    ("name", "x" * 101, "too_long"),
    ("name", "a\nb", "control_characters"),
    ("name", "a\u202eb", "control_characters"),
    ("name", "half \ud800", "control_characters"),
    ("name", 5, "not_text"),
    ("name", ["Office"], "not_text"),
    ("sender_email", "", "address_empty"),
    ("sender_email", "office", "address_syntax"),
    ("sender_email", "office@", "address_syntax"),
    ("sender_email", " office@example.org", "address_blank"),
    ("sender_email", "a@b.example, c@d.example", "address_syntax"),
    ("sender_email", "Office <a@b.example>", "address_syntax"),
    ("sender_email", "x" * 65 + "@example.org", "address_length"),
    ("sender_email", {"email": "a@b.example"}, "not_text"),
    ("sender_name", "a\r\nBcc: x@y.example", "control_characters"),
    ("sender_name", "x" * 201, "too_long"),
    ("sender_name", 1.5, "not_text"),
    ("reply_to", "nobody", "address_syntax"),
    ("reply_to", [], "not_text"),
    ("host", "", "host_empty"),
    ("host", "smtp://smtp.example.org", "host_url"),
    ("host", "https://smtp.example.org/", "host_url"),
    ("host", "smtp.example.org:587", "host_port"),
    ("host", "smtp.example.org ", "host_blank"),
    ("host", "smtp example org", "host_blank"),
    ("host", "office@example.org", "host_address"),
    ("host", "-bad-.example.org", "host_syntax"),
    ("host", "a..b", "host_syntax"),
    ("host", "2130706433", "host_syntax"),
    ("host", "127.1", "host_syntax"),
    ("host", "x" * 64 + ".example.org", "host_syntax"),
    ("port", 0, "port_range"),
    ("port", -1, "port_range"),
    ("port", 65536, "port_range"),
    ("port", "65536", "port_range"),
    ("port", "587 ", "port_range"),
    ("port", "0x24b", "port_range"),
    ("port", "\u0665\u0668\u0667", "port_range"),
    ("port", 587.0, "port_range"),
    ("port", True, "port_range"),
    ("port", HUGE, "port_range"),
    ("port", 10**5000, "port_range"),
    ("port", [587], "port_range"),
    ("port", {}, "port_range"),
    ("encryption", "", "encryption_unknown"),
    ("encryption", None, "encryption_unknown"),
    ("encryption", "opportunistic", "encryption_unknown"),
    ("encryption", ["ssl"], "not_text"),
    ("auth", "kerberos", "auth_unknown"),
    ("auth", "kerberos", "auth_unknown"),
    ("auth", {}, "not_text"),
    ("login", "x" * 321, "too_long"),
    ("login", "nul\0", "control_characters"),
    ("login", 5, "not_text"),
    ("password", "x" * 4097, "too_long"),
    ("password", "new\nline", "control_characters"),
    ("password", 5, "not_text"),
    ("active", "true", "not_boolean"),
    ("active", None, "not_boolean"),
    ("active", 1, "not_boolean"),
    ("is_default", "yes", "not_boolean"),
    ("clear_password", "no", "not_boolean"),
    ("allowed_senders", "a@b.example", "not_list"),
    ("allowed_senders", None, "not_list"),
    ("allowed_senders[1]", ["a@b.example", "nobody"], "allowed_sender_syntax"),
    ("allowed_senders[0]", ["*@"], "allowed_sender_syntax"),
    ("allowed_senders[0]", [5], "not_text"),
    ("backup", "nobody", "connection_unknown"),
    ("backup", 5, "not_text"),
    ("backup", "\0", "control_characters"),
    ("limits", [], "not_object"),
    ("limits", None, "not_object"),
    ("limits.per_hour", {"per_hour": 1}, "unknown_field"),
    ("limits.per_day", {"per_day": 0}, "limit_range"),
    ("limits.per_day", {"per_day": -5}, "limit_range"),
    ("limits.per_day", {"per_day": 10**9 + 1}, "limit_range"),
    ("limits.per_day", {"per_day": "000000000001999999999999"}, "limit_range"),
    ("limits.per_day", {"per_day": HUGE}, "limit_range"),
    ("limits.per_day", {"per_day": 10**5000}, "limit_range"),
    ("limits.per_day", {"per_day": "\u0663"}, "limit_range"),
    ("limits.per_day", {"per_day": 2.0}, "limit_range"),
    ("limits.per_day", {"per_day": False}, "limit_range"),
    ("pinned_certificate", "hello", "certificate_syntax"),
    ("pinned_certificate", 5, "certificate_syntax"),
    ("source_address", "localhost", "ip_syntax"),
    ("source_address", "192.0.2.0/24", "ip_syntax"),
    ("source_address", 5, "not_text"),
    ("has_password", True, "unknown_field"),
    ("health", {}, "unknown_field"),
    ("id", "x", "unknown_field"),
]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("field", "value", "code"), BAD, ids=[f"{field} {n}" for n, (field, _, _) in enumerate(BAD)]
)
@pytest.mark.parametrize("act", ["create", "edit", "draft"])
def test_bad_input_is_refused_at_its_field_and_nothing_is_written(field, value, code, act):
    name = field.partition(".")[0].partition("[")[0]
    given_values = {"name": "Office", "sender_email": "a@example.org", "host": "smtp.example.org"} | {
        name: value
    }
    office = connect("Existing") if act == "edit" else None
    before = list(Connection.objects.values())
    acts = {
        "create": lambda: connections.create(given_values, ACTOR, NOW),
        "edit": lambda: connections.edit(str(office.uid), {name: value}, ACTOR, NOW),
        "draft": lambda: connections.draft(given_values),
    }
    with pytest.raises(Refusal) as caught:
        acts[act]()
    assert (field, code) in fault_codes(caught.value)
    assert {fault.field for fault in caught.value.errors} == {field}
    assert all(fault.message for fault in caught.value.errors)
    assert list(Connection.objects.values()) == before
    assert Version.objects.count() == len(before)


def test_all_faults_are_told_at_once():
    with pytest.raises(Refusal) as caught:
        connections.create(
            {"name": "", "sender_email": "x", "host": "a b", "port": "no", "encryption": "y", "active": 1,
             "limits": {"per_day": 0}, "backup": "nobody", "extra": 1},
            ACTOR, NOW,
        )  # fmt: skip
    assert {fault.field for fault in caught.value.errors} == {
        "name", "sender_email", "host", "port", "encryption", "active", "limits.per_day", "backup", "extra",
    }  # fmt: skip


def test_nothing_given_names_everything_that_is_needed():
    with pytest.raises(Refusal) as caught:
        connections.create({}, ACTOR, NOW)
    assert fault_codes(caught.value) == {
        ("name", "name_empty"), ("sender_email", "address_empty"), ("host", "host_empty"),
    }  # fmt: skip
    with pytest.raises(Refusal) as caught:
        connections.draft({})
    assert fault_codes(caught.value) == {("sender_email", "address_empty"), ("host", "host_empty")}


# names


SAME = [
    ("B\u00fcro", "B\u00dcRO"),
    ("B\u00fcro", "Bu\u0308ro"),
    ("office", "\uff2f\uff46\uff46\uff49\uff43\uff45"),
    ("Stra\u00dfe", "STRASSE"),
    ("fi", "\ufb01"),
    ("Office", "Off\u200bice"),
    ("Office", "O\u00adffice"),
    ("\u0390", "\u03aa\u0301"),
    ("Office", " office "),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_names_are_told_apart_without_regard_to_case_and_form(first, second):
    kept = connect(first)
    with pytest.raises(Refusal) as caught:
        connect(second)
    assert fault_codes(caught.value) == {("name", "name_taken")}
    assert connections.find(second).pk == kept.pk
    assert fresh(kept).name == first
    connections.edit(str(kept.uid), {"name": second}, ACTOR, NOW)
    assert fresh(kept).name == second


@pytest.mark.parametrize(("first", "second"), [("Buro", "B\u00fcro"), ("Office", "Office 2"), ("O", "0")])
def test_names_that_differ_are_kept_beside_each_other(first, second):
    assert connect(first).name_key != connect(second).name_key


@pytest.mark.any_database
@given(name=some.text(max_size=30))
def test_the_key_of_a_name_is_stable(name):
    key = fields.name_key(name)
    assert fields.name_key(key) == key
    assert fields.name_key(name.strip()) == key


@given(key=some.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_looking_for_any_text_finds_something_or_nothing(key):
    with pytest.raises(Missing):
        connections.find(key)


# addresses and hosts


def test_an_international_domain_is_kept_in_both_forms():
    office = connect(sender_email="kontakt@B\u00fccher.example")
    assert (office.sender_email, office.sender_ascii) == (
        "kontakt@b\u00fccher.example",
        "kontakt@xn--bcher-kva.example",
    )
    other = connect("Other", sender_email="kontakt@xn--bcher-kva.example")
    assert (other.sender_email, other.sender_ascii) == (office.sender_email, office.sender_ascii)


def test_a_local_part_beyond_ascii_is_accepted():
    office = connect(sender_email="jos\u00e9@caf\u00e9.example")
    assert office.sender_ascii == "jos\u00e9@xn--caf-dma.example"
    assert connections.draft({"sender_name": "x"}, str(office.uid)).hop.sender.needs_smtputf8


@pytest.mark.parametrize(
    "domain", ["office.local", "mail.internal", "printer.lan", "localhost", "example.test"]
)
def test_special_use_domains_are_addresses_too(domain):
    assert connect(sender_email=f"a@{domain}").sender_ascii == f"a@{domain}"


def test_a_host_is_kept_in_its_canonical_form():
    assert connect(host="Mail.B\u00dcCHER.example.").host == "mail.xn--bcher-kva.example"
    assert connect("V6", host="[2001:DB8::0:1]").host == "2001:db8::1"


def test_allowed_senders_are_canonical_and_each_once():
    office = connect(allowed_senders=["A@Example.org", "*@B\u00fccher.example", "a@example.ORG"])
    assert office.allowed_senders == ["a@example.org", "*@xn--bcher-kva.example"]


# ports and encryption


@pytest.mark.parametrize(
    ("encryption", "port"),
    [("ssl", 465), ("starttls", 587), ("tls", 587), ("TLS", 587), ("SSL", 465), ("none", 25)],
)
@pytest.mark.parametrize("typed", [{}, {"port": None}, {"port": ""}])
def test_the_port_follows_the_encryption(encryption, port, typed):
    office = connect(encryption=encryption, **typed)
    assert office.port == port
    assert office.encryption == {"tls": "starttls"}.get(encryption.lower(), encryption.lower())


def test_the_usual_port_follows_a_change_and_a_typed_one_stays():
    office, other = connect(), connect("Other", port="2525")
    for one in (office, other):
        connections.edit(str(one.uid), {"encryption": "ssl"}, ACTOR, NOW)
    assert (fresh(office).port, fresh(other).port) == (465, 2525)
    connections.edit(str(office.uid), {"encryption": "none", "port": 465}, ACTOR, NOW)
    assert fresh(office).port == 465


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "mail.localhost"])
def test_credentials_in_clear_are_taken_towards_loopback(host):
    assert connect(host=host, encryption="none", login="x", password="y" * 12).host == host.strip("[]")


@pytest.mark.parametrize(
    "host",
    ["smtp.example.org", "192.0.2.1", "10.0.0.1", "localhost.example.org", "::ffff:192.0.2.1", "0.0.0.0"],
)
def test_credentials_in_clear_are_refused_towards_anything_else(host):
    with pytest.raises(Refusal) as caught:
        connect(host=host, encryption="none", login="x", password="y" * 12)
    assert fault_codes(caught.value) == {("encryption", "credentials_in_clear")}


def test_a_loopback_connection_in_clear_cannot_move_away_with_its_password():
    office = connect(host="localhost", encryption="none", login="x", password="y" * 12)
    with pytest.raises(Refusal) as caught:
        connections.edit(str(office.uid), {"host": "smtp.example.org"}, ACTOR, NOW)
    assert fault_codes(caught.value) == {
        ("encryption", "credentials_in_clear"),
        ("password", "password_again"),
    }
    assert fresh(office).host == "localhost"


def test_no_encryption_needs_no_credentials():
    assert connect(encryption="none").auth == "none"


# login and password


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        ({"login": "x"}, {("password", "password_missing")}),
        ({"password": "y" * 12}, {("login", "login_missing")}),
        ({"auth": "password"}, {("login", "login_missing")}),
        ({"auth": "password", "login": "x"}, {("password", "password_missing")}),
        ({"auth": "none", "login": "x", "password": "y" * 12}, {("auth", "auth_contradicts")}),
    ],
)
def test_login_and_password_go_together(values, faults):
    with pytest.raises(Refusal) as caught:
        connect(**values)
    assert fault_codes(caught.value) == faults


def test_an_edit_says_only_what_changes():
    office = with_password(sender_name="The office", limits={"per_day": 5, "per_minute": 2})
    connections.edit(str(office.uid), {"limits": {"per_day": None}}, ACTOR, NOW)
    after = fresh(office)
    assert (after.sender_name, after.per_day, after.per_minute) == ("The office", None, 2)
    change = Version.objects.filter(subject=str(office.uid)).latest("number")
    assert (change.number, change.action, change.actor) == (2, "changed", ACTOR)
    assert change.changes == {"per_day": [5, None]}


def test_an_edit_that_changes_nothing_is_not_in_the_journal():
    office = with_password()
    connections.edit(str(office.uid), {"name": "Office", "password": "", "port": 587}, ACTOR, NOW)
    assert Version.objects.filter(subject=str(office.uid)).count() == 1


def test_the_journal_says_that_a_password_changed_and_not_which():
    office = with_password()
    connections.edit(str(office.uid), {"password": "another-secret"}, ACTOR, NOW)
    assert Version.objects.latest("pk").changes == {"password": ["", "changed"]}


def test_a_connection_does_not_stand_in_for_itself():
    office = connect()
    with pytest.raises(Refusal) as caught:
        connections.edit(str(office.uid), {"backup": "Office"}, ACTOR, NOW)
    assert fault_codes(caught.value) == {("backup", "backup_itself")}


def test_a_backup_is_set_and_taken_away():
    office, spare = connect(), connect("Spare")
    connections.edit(str(office.uid), {"backup": str(spare.uid)}, ACTOR, NOW)
    assert fresh(office).backup == spare
    connections.edit(str(office.uid), {"backup": None}, ACTOR, NOW)
    assert fresh(office).backup is None


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.any_database
@given(values=some.dictionaries(some.sampled_from([*fields.FIELDS, "id", "x"]), JSON, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
def test_i09_whatever_json_is_given_it_is_a_draft_or_a_refusal(values):
    known = {*fields.FIELDS, "id", "x"}
    faulty = _faulty_fields(values)
    assert {field.partition(".")[0].partition("[")[0] for field in faulty} <= known


def _faulty_fields(values):
    try:
        connections.draft(values)
    except Refusal as refusal:
        return [fault.field for fault in refusal.errors] or ["none named"]
    return []
