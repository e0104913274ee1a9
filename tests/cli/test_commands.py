"""The command families on a real ledger, each through its own parser."""

import json
from email import message_from_bytes, policy

import pytest
from django.utils import timezone

from scripted.certificates import self_signed
from scripted.sink import SinkServer
from scripted.vault_keys import LOST, use_keys
from vaguemestre.ledger import sightings
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Connection, Message, User, Version

pytestmark = pytest.mark.django_db

OFFICE = (
    "connection",
    "add",
    "Office",
    "--sender-email",
    "office@example.test",
    "--host",
    "smtp.example.test",
)
SHOP = ("connection", "add", "Shop", "--sender-email", "shop@example.test", "--host", "smtp.example.test")


def test_a_connection_is_added_shown_edited_and_deleted(command):
    added = command(*OFFICE, "--encryption", "ssl", "--max-sessions", "3", "--json")
    assert added.status == 0
    assert (added.json["port"], added.json["active"], added.json["is_default"]) == (465, True, False)
    assert added.json["limits"]["max_sessions"] == 3
    shown = command("connection", "show", "office", "--json").json
    assert shown.pop("lane")["due"] == 0
    assert command("connection", "list", "--json").json == [shown]
    edited = command(
        "connection", "edit", "OFFICE", "--name", "Bureau", "--allowed-sender", "*@example.test", "--json"
    )
    assert (edited.json["name"], edited.json["allowed_senders"]) == ("Bureau", ["*@example.test"])
    assert command("connection", "delete", "bureau").output == "Bureau is deleted.\n"
    assert command("connection", "list").output == "None.\n"


def test_every_fault_of_a_connection_is_named_at_its_field(command):
    done = command("connection", "add", "", "--sender-email", "nobody", "--host", "a b", "--port", "99999")
    assert done.status == 1
    assert {refusal.split(":")[0] for refusal in done.refusals} == {"port", "name", "sender_email", "host"}
    assert Connection.objects.count() == 0


def test_a_second_default_says_whom_it_demotes(command):
    command(*OFFICE, "--default")
    command(*SHOP)
    said = command("connection", "default", "Shop")
    assert "Office is not the default any more; it stays active." in said.output
    assert Connection.objects.get(is_default=True).name == "Shop"


def test_the_default_leaves_only_with_a_successor(command):
    command(*OFFICE, "--default")
    command(*SHOP)
    refused = command("connection", "deactivate", "Office")
    assert refused.status == 1
    assert refused.refusals[0].endswith("Here: --successor NAME, or --successor none.")
    assert command("connection", "deactivate", "Office", "--successor", "Shop").status == 0
    assert Connection.objects.get(is_default=True).name == "Shop"
    assert command("connection", "delete", "Shop", "--successor", "none").status == 0
    assert not Connection.objects.filter(is_default=True).exists()


def test_to_verify_is_said_of_a_connection_that_is_used_and_not_of_one_that_was_just_stopped(command):
    assert "connection verify Office" in command(*OFFICE).output
    assert "verify" not in command("connection", "deactivate", "Office").output
    assert "connection verify Office" in command("connection", "activate", "Office").output


def test_a_paused_connection_is_resumed(command):
    command(*OFFICE)
    assert command("connection", "pause", "Office", "--json").json["health"]["state"] == "paused"
    assert command("connection", "resume", "Office", "--json").json["health"]["state"] == "ready"


def test_a_password_comes_by_standard_input_and_is_never_shown(command):
    added = command(*OFFICE, "--login", "me", "--password-stdin", stdin="canary-7f1\n")
    shown = command("connection", "show", "Office", "--json")
    assert shown.json["has_password"] is True
    assert "canary-7f1" not in added.output + shown.output
    changes = json.dumps(list(Version.objects.values_list("changes", flat=True)))
    assert "canary-7f1" not in changes


def test_no_command_takes_a_password_as_an_argument(command):
    for words in (OFFICE, ("admin", "create", "--email", "a@example.test")):
        with pytest.raises(SystemExit) as usage:
            command(*words, "--password", "canary-7f1")
        assert usage.value.code == 2


def test_l8_another_host_needs_the_password_again(command):
    command(*OFFICE, "--login", "me", "--password-stdin", stdin="canary-7f1\n")
    refused = command("connection", "edit", "Office", "--host", "elsewhere.example.test")
    assert refused.refusals == [
        "password: The server, port, encryption, login or certificate changed: type the password again."
    ]
    assert Connection.objects.get().host == "smtp.example.test"


def test_an_administrator_is_created_with_a_good_password_only(command):
    create = ("admin", "create", "--email", "boss@example.test", "--password-stdin")
    refused = command(*create, stdin="password1234\n")
    assert refused.refusals == ["password: This password is too common."]
    assert User.objects.count() == 0
    assert command(*create, stdin="a good long sentence\n").output == "boss@example.test can sign in now.\n"
    assert User.objects.get().check_password("a good long sentence")
    again = command(*create, stdin="a good long sentence\n")
    assert again.refusals == ["email: boss@example.test is an administrator already."]
    command(
        "admin",
        "password",
        "--email",
        "Boss@example.test",
        "--password-stdin",
        stdin="another long sentence\n",
    )
    assert User.objects.get().check_password("another long sentence")


def test_the_first_link_is_made_anew_while_there_is_nobody(command):
    first = command("admin", "link").output
    assert first != command("admin", "link").output
    assert "/setup/" in first
    command(
        "admin", "create", "--email", "a@example.test", "--password-stdin", stdin="a good long sentence\n"
    )
    assert command("admin", "link").status == 1


def test_a_key_is_printed_once(command):
    made = command(
        "key", "create", "shop", "--scope", "send", "--scope", "read", "--stream", "invoices", "--json"
    )
    assert set(made.json) == {"id", "name", "key"}
    assert made.json["key"].startswith("vgm_")
    listed = command("key", "list", "--json")
    assert (listed.json[0]["scopes"], listed.json[0]["streams"]) == (["read", "send"], ["invoices"])
    assert made.json["key"] not in listed.output
    assert command("key", "revoke", made.json["id"]).output == "The key shop is revoked.\n"
    assert command("key", "create", "shop", "--scope", "send", "--stream", "none").refusals == [
        "streams: There is no stream none."
    ]


def test_a_key_may_want_no_reports(command):
    command("key", "create", "shop", "--scope", "send")
    limits = ("--sender", "scan@example.org", "--network", "10.1.0.0/16")
    command("key", "create", "scanner", "--scope", "send", "--no-dsn", *limits)
    assert {key["name"]: key["dsn"] for key in command("key", "list", "--json").json} == {
        "shop": True,
        "scanner": False,
    }
    shown = command("key", "list").output.splitlines()
    assert [shown[0].split().count("dsn"), " no " in shown[1], " yes " in shown[2]] == [1, True, True]
    assert "  scan@example.org  10.1.0.0/16  " in shown[1]


def test_the_mode_of_the_default_is_a_setting(command):
    initial = {"default_mode": "override", "renew_verifications": True}
    assert command("setting", "list", "--json").json == initial
    changed = initial | {"default_mode": "fallback"}
    assert command("setting", "set", "default_mode", "fallback", "--json").json == changed
    changed |= {"renew_verifications": False}
    assert command("setting", "set", "renew_verifications", "off", "--json").json == changed
    assert command("setting", "set", "renew_verifications", "perhaps").refusals == [
        "renew_verifications: This is either true or false."
    ]
    assert command("setting", "set", "default_mode", "sometimes").refusals == [
        "default_mode: Choose override or fallback."
    ]


def test_a_stream_gets_its_connection_by_name(command):
    command(*OFFICE)
    edited = command(
        "stream", "edit", "invoices", "--connection", "office", "--retention-days", "90", "--json"
    )
    assert edited.json["connection"] == str(Connection.objects.get().uid)
    assert edited.json["retention_days"] == 90
    assert "Office" in command("stream", "list").output
    assert "Office" in command("stream", "show", "invoices").output


def test_source_addresses_are_replaced_and_printed_one_a_line(command):
    said = command("source-address", "set", "192.0.2.7=first", "2001:db8::7")
    assert said.output == "192.0.2.7\n2001:db8::7\n"
    assert command("source-address", "list", "--json").json["items"][0]["label"] == "first"
    assert command("source-address", "set", "192.0.2.300").refusals == [
        "items[0].address: This is not an IP address."
    ]


def test_route_explain_names_the_rule_that_decides(command):
    held = command("route", "explain", "--from", "a@example.test", "--json").json
    assert (held["route"], held["reason"]["code"]) == (None, "no_active_connection")
    command(*OFFICE, "--default")
    routed = command("route", "explain", "--from", "a@example.test", "--json").json
    assert (routed["route"]["connection_name"], routed["reason"]["code"]) == ("Office", "default_override")
    assert routed["rules"][0]["facts"]["connection"] == routed["route"]["connection"]
    assert "Carried by Office" in command("route", "explain").output
    assert "communication" not in command("route", "explain", "--json").output


def test_a_long_subject_leaves_the_list_its_columns(command):
    command("send", "--to", "a@example.test", "--subject", "s" * 300, "--text", "x")
    listed = command("message", "list").output
    assert "s" * 59 + "…" in listed
    assert "s" * 60 not in listed


def test_send_composes_text_and_attachments(command, tmp_path):
    (tmp_path / "été.pdf").write_bytes(b"%PDF-1.4")
    command(*OFFICE)
    sent = command(
        "send", "--to", "Zoé <zoe@example.test>", "--bcc", "b@example.test", "--subject", "Réponse",
        "--text", "Bonjour", "--attach", str(tmp_path / "été.pdf"), "--json",
    )  # fmt: skip
    assert sent.json["state"] == "queued"
    assert [delivery["recipient"] for delivery in sent.json["deliveries"]] == [
        "zoe@example.test",
        "b@example.test",
    ]
    message = Message.objects.get()
    assert (message.subject, message.via) == ("Réponse", "cli")
    assert "Réponse" in command("message", "show", sent.json["id"]).output


def test_send_takes_a_whole_message_from_a_file_of_this_machine(command, tmp_path):
    raw = tmp_path / "letter.eml"
    raw.write_bytes(b"From: a@example.test\nTo: b@example.test, c@example.test\nSubject: raw\n\nHello\n")
    sent = command("send", "--raw", str(raw), "--json")
    assert [delivery["recipient"] for delivery in sent.json["deliveries"]] == [
        "b@example.test",
        "c@example.test",
    ]
    assert Message.objects.get().reverse_path == "a@example.test"
    raw.write_bytes(b"From: a@example.test\r\nTo: b@example.test\n\nHello\r\n")
    refused = command("send", "--raw", str(raw))
    assert refused.refusals == ["content: The content holds a bare CR or LF; every line must end with CR LF."]


def test_send_names_what_it_cannot_take(command, tmp_path):
    assert command("send", "--to", "a@example.test").refusals == [
        "text: give --text, --html, --template or --raw."
    ]
    missing = command("send", "--to", "a@example.test", "--text", "x", "--attach", str(tmp_path / "none"))
    assert missing.refusals == [f"attach: {tmp_path / 'none'} cannot be read: No such file or directory."]
    unknown = command("send", "--to", "a@example.test", "--text", "x", "--stream", "none")
    assert [refusal.split(":")[0] for refusal in unknown.refusals] == ["stream"]
    assert Message.objects.count() == 0


def test_a_cursor_that_was_not_given_out_is_refused(command):
    assert command("message", "list", "--cursor", "x").refusals == [
        "cursor: This cursor was not given out by this list."
    ]


def test_a_held_message_is_released_cancelled_and_listed(command):
    sent = command("send", "--to", "a@example.test", "--subject", "Wait", "--text", "x", "--wait", "--json")
    assert (sent.status, sent.json["state"]) == (1, "held")
    still = command("message", "release", sent.json["id"])
    assert still.refusals == ["There is still no route for this message."]
    command(*OFFICE)
    assert command("message", "release", sent.json["id"], "--json").json["state"] == "queued"
    assert command("message", "cancel", sent.json["id"], "--json").json["state"] == "cancelled"
    listed = command("message", "list", "--state", "cancelled", "--json").json
    assert [item["id"] for item in listed["items"]] == [sent.json["id"]]
    assert command("message", "resolve", sent.json["id"], "--outcome", "arrived").status == 1
    assert command("message", "show", "none").refusals == ["There is no message none."]


def test_vault_rotate_says_how_many_it_sealed(command):
    command(*OFFICE, "--login", "me", "--password-stdin", stdin="canary-7f1\n")
    assert command("vault", "rotate", "--json").json == {"sealed": 1}


@pytest.mark.parametrize("keys", LOST.values(), ids=LOST)
def test_l12_a_command_that_needs_a_secret_says_that_the_vault_key_is_missing(command, monkeypatch, keys):
    added = command(*OFFICE, "--login", "me", "--password-stdin", stdin="canary-7f1\n")
    assert added.status == 0
    use_keys(monkeypatch, *keys)
    for words in (
        ("connection", "verify", "Office"),
        ("connection", "edit", "Office", "--password-stdin"),
        ("export", "--passphrase-stdin"),
        ("vault", "rotate"),
    ):
        done = command(*words, stdin="a-long-passphrase\n")
        assert (done.status, len(done.refusals)) == (1, 1), words
        assert "restore vault.key or set VAGUEMESTRE_VAULT_KEYS" in done.refusals[0]


def test_l9_verify_tells_each_step_and_what_it_means(command):
    with SinkServer().in_thread() as sink:
        typed = ("--sender-email", "a@example.test", "--host", "127.0.0.1", "--port", str(sink.port))
        works = command("connection", "verify", *typed, "--encryption", "none")
        fails = command("connection", "verify", *typed, "--encryption", "ssl", "--json")
    assert works.status == 0
    assert works.output.endswith("The connection works.\n")
    assert "ms  It speaks SMTP" in works.output
    assert (fails.status, fails.json["ok"]) == (1, False)
    assert fails.json["findings"][0]["code"] == "ssl_on_starttls_port"
    assert Connection.objects.count() == 0


def test_verify_shows_a_certificate_that_is_not_trusted_so_that_it_can_be_pinned(command):
    certificate = self_signed("mail.internal.example")
    with SinkServer(encryption="ssl", certificate=certificate).in_thread() as sink:
        typed = ("--sender-email", "a@example.test", "--host", "localhost", "--port", str(sink.port))
        told = command("connection", "verify", *typed, "--encryption", "ssl")
        pin = ("--pinned-certificate", certificate.fingerprint)
        trusted = command("connection", "verify", *typed, "--encryption", "ssl", *pin)
    assert told.status == 1
    assert f"  SHA-256: {certificate.fingerprint}\n" in told.output
    assert "  for: mail.internal.example\n" in told.output
    assert trusted.status == 0


def test_nobody_elses_address_is_tried_and_ones_own_gets_a_test_message(command):
    command(*OFFICE)
    refused = command("connection", "test", "Office", "--to", "stranger@example.com")
    assert (refused.status, refused.refusals[0].partition(":")[0]) == (1, "to")
    sender = Connection.objects.get().sender_email
    assert command("connection", "test", "Office", "--to", sender, "--json").json["state"] == "queued"


def test_l8_verify_asks_for_the_password_again_where_the_host_changed(command):
    command(*OFFICE, "--login", "me", "--password-stdin", stdin="canary-7f1\n")
    with SinkServer().in_thread() as sink:
        refused = command("connection", "verify", "Office", "--host", "127.0.0.1", "--port", str(sink.port))
    assert refused.refusals == [
        "password: The server, port, encryption, login or certificate changed: type the password again."
    ]
    assert sink.sessions == 0


def test_i11_a_subject_that_steers_a_terminal_is_shown_inert(command, tmp_path):
    raw = tmp_path / "letter.eml"
    # ESC ] 0 ; x BEL sets a window's title; U+202E turns the writing round.
    raw.write_bytes(
        b"From: a@example.test\nTo: b@example.test\nSubject: =?utf-8?q?=1B]0;x=07=E2=80=AEfdp?=\n\nHello\n"
    )
    sent = command("send", "--raw", str(raw), "--json")
    for shown in (command("message", "list"), command("message", "show", sent.json["id"])):
        assert not set(shown.output) & {"\x1b", "\x07", "\u202e"}
        assert "]0;x" in shown.output


def test_an_announced_address_keeps_its_days_and_the_list_is_exported(command):
    command("source-address", "set", "192.0.2.7")
    said = command("source-address", "announce", "192.0.2.8", "--from", "2999-01-01", "--label", "Lyon")
    assert said.output == "192.0.2.7\n192.0.2.8  from 2999-01-01\n"
    assert command("source-address", "announce", "192.0.2.7", "--until", "tomorrow").refusals == [
        "items[0].valid_until: Write the day like 2026-12-31."
    ]
    said = command("source-address", "announce", "192.0.2.7", "--until", "2998-12-31", "--json")
    assert [item["valid_until"] for item in said.json["items"]] == ["2998-12-31", None]
    assert command("source-address", "export").output == "192.0.2.7\n"
    assert "mynetworks = " in command("source-address", "export", "postfix").output
    assert command("source-address", "export", "spf", "--json").json == {
        "format": "spf",
        "text": "ip4:192.0.2.7",
    }
    assert command("source-address", "seen").output == "None.\n"


def test_an_account_of_oauth2_is_set_up_with_its_secret_on_standard_input(command):
    account = (
        "--login", "office@example.test", "--oauth2-provider", "microsoft", "--oauth2-grant", "client_credentials",
        "--oauth2-tenant", "example.test", "--oauth2-client-id", "an-id", "--oauth2-client-secret-stdin",
    )  # fmt: skip
    added = command(*OFFICE, *account, "--json", stdin="a-client-secret\n")
    assert added.status == 0
    assert (added.json["auth"], added.json["oauth2"]["connected"]) == ("oauth2", True)
    assert "a-client-secret" not in added.output + command("connection", "show", "Office").output
    refused = command("connection", "edit", "Office", "--oauth2-tenant", "evil.test")
    assert (refused.status, refused.refusals[0].split(":")[0]) == (1, "oauth2.client_secret")
    missing = command("connection", "edit", "Office", "--oauth2-key-file", "/nowhere/key.json")
    assert (missing.status, missing.refusals[0].split(":")[0]) == (1, "oauth2.service_account_key")


def test_a_report_of_another_program_is_sent_as_it_is(command, tmp_path):
    command(*OFFICE)
    file = tmp_path / "ventes.csv"
    file.write_bytes(b"a;b\n\xff\r\n\x00")
    ask = ("report", "send", "--file", str(file), "--to", "ann@example.net", "--to", "tom@example.net")
    sent = command(*ask, "--subject", "Ventes", "--text", "-", "--json", stdin="Les ventes.\n")
    assert (sent.status, sent.json["state"]) == (0, "queued")
    message = Message.objects.get(uid=sent.json["id"])
    assert (message.subject, message.stream.key, message.via) == ("Ventes", "reports", "cli")
    mail = message_from_bytes(content_of(message).raw, policy=policy.default)
    (attachment,) = mail.iter_attachments()
    assert attachment.get_payload(decode=True) == file.read_bytes()
    assert "Les ventes." in mail.get_body(("plain",)).get_content()
    assert command(*ask, "--stream", "nosuch").refusals[0].startswith("stream:")
    assert command("report", "send", "--file", "nosuch", "--to", "a@example.net").status == 1


def test_another_meaning_of_the_default_is_previewed(command):
    ask = ("setting", "set", "default_mode", "fallback", "--preview")
    assert "There is no default sender" in command(*ask).output
    command(*OFFICE, "--default")
    told = command(*ask)
    assert "Nothing is changed. `setting set default_mode fallback` does it." in told.output
    assert command("setting", "list", "--json").json["default_mode"] == "override"
    assert command("setting", "set", "renew_verifications", "off", "--preview").status == 1


def test_the_weekly_report_is_scheduled(command):
    assert command("report", "schedule", "show", "--json").json["active"] is False
    ask = ("report", "schedule", "set", "--active", "--weekday", "friday", "--hour", "17")
    assert command(*ask).refusals == ["recipients: Say who is to get the report."]
    done = command(*ask, "--to", "ann@example.net", "--to", "bob@example.net", "--zone", "UTC", "--json")
    assert (done.status, done.json["weekday"], done.json["recipients"]) == (
        0, 4, ["ann@example.net", "bob@example.net"],
    )  # fmt: skip
    assert "friday" in command("report", "schedule", "show").output
    assert command("report", "schedule", "set", "--no-active", "--json").json["active"] is False
    assert command("report", "schedule", "set", "--weekday", "someday").refusals[0].startswith("weekday:")


def test_an_invoice_goes_once_and_its_number_tells_what_became_of_it(command, tmp_path):
    command(*OFFICE)
    pdf = tmp_path / "facture.pdf"
    pdf.write_bytes(b"%PDF-1.4 \x00\xff")
    ask = ("invoice", "send", "--pdf", str(pdf), "--number", "2026-118", "--to", "ann@example.net")
    sent = command(*ask, "--amount", "1234.50", "--due", "2026-12-31", "--json")
    assert (sent.status, sent.json["state"], sent.json["currency"]) == (0, "queued", "EUR")
    again = command(*ask)
    assert again.status == 1
    assert "Invoice 2026-118 was taken for ann@example.net" in again.refusals[0]
    assert command(*ask, "--again", sent.json["message"], "--json").json["again"] == 1
    shown = command("invoice", "show", "2026-118", "--json").json
    assert [one["message"] for one in shown] == [
        str(uid) for uid in Message.objects.order_by("pk").values_list("uid", flat=True)
    ]
    assert "2026-118" in command("invoice", "list", "--search", "118").output
    assert command("invoice", "show", "nosuch").refusals == ["There is no invoice nosuch."]
    assert command("invoice", "send", "--pdf", "nosuch", "--number", "1", "--to", "a@example.net").status == 1


def test_what_servers_saw_is_listed_and_forgotten(command):
    command(*OFFICE)
    sightings.note(Connection.objects.get().pk, "203.0.113.9", timezone.now())
    assert "203.0.113.9  nothing_listed  Office" in command("source-address", "seen").output
    assert command("source-address", "forget", "203.0.113.9").output == "None.\n"
    gone = command("source-address", "forget", "203.0.113.9")
    assert (gone.status, gone.refusals) == (1, ["There is no sighting of 203.0.113.9."])


def test_a_message_is_written_from_a_template(command):
    command(*OFFICE)
    ask = ("send", "--to", "ann@example.net", "--template", "report", "--language", "it")
    assert command(*ask, "--data", '{"title": "Settimana 48"}').status == 0
    assert Message.objects.get().subject == "Settimana 48"
    refused = command(*ask)
    assert (refused.status, refused.refusals) == (
        1, ["data: Template report (it), subject: Line 1 uses title, which the data does not hold."],
    )  # fmt: skip
    assert command(*ask, "--data", "[1]").refusals == ["data: give a JSON object."]
    assert command(*ask, "--text", "x").refusals[0].startswith("template: it writes")
