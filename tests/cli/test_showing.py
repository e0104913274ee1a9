"""What commands show of connections and messages: why something waits, what was asked, what leaves."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from scripted.sink import SinkServer
from vaguemestre.ledger.models import Attempt, Connection, Delivery, Message

pytestmark = pytest.mark.django_db

SENT = ("send", "--to", "zoe@example.test", "--subject", "Hello", "--text", "x", "--json")


def add(command, name, *words):
    email = f"{name.lower()}@example.test"
    added = command("connection", "add", name, "--sender-email", email, "--host", "smtp.example.test", *words)
    assert added.status == 0, added.refusals


def facts(shown):
    """name -> value of each line, which two blanks or more keep apart."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("  ") for line in shown.lines)}


def test_connection_show_tells_why_it_is_locked_and_what_its_limits_are(command):
    add(command, "Office", "--per-minute", "30")
    Connection.objects.update(health="locked", health_why="sign_in_refused", health_text="535 5.7.8 no")
    shown = facts(command("connection", "show", "Office"))
    assert shown["health"] == "state locked, why 535 5.7.8 no"
    assert shown["limits"] == "per minute 30"
    assert shown["verification"] == "state never"


def test_connection_show_tells_when_it_was_verified_and_not_each_finding(command):
    with SinkServer().in_thread() as sink:
        reach = ("--host", "127.0.0.1", "--port", str(sink.port), "--encryption", "none")
        command("connection", "add", "Office", "--sender-email", "office@example.test", *reach)
        assert command("connection", "verify", "Office").status == 0
    shown = facts(command("connection", "show", "Office"))
    assert shown["verification"].startswith("state verified, at 20")
    assert "findings" not in shown["verification"]


def test_message_show_tells_what_was_asked_and_what_leaves_by_which_connection(command):
    add(command, "Office", "--default", "--sender-name", "The office", "--reply-to", "answers@example.test")
    asked = ("--from", "Zoé <zoe@example.test>", "--reply-to", "me@example.test")
    shown = command("message", "show", command(*SENT, *asked).json["id"])
    assert facts(shown)["asked From"] == "Zoé <zoe@example.test>"
    assert facts(shown)["asked Reply-To"] == "me@example.test"
    assert "  Connection: Office" in shown.lines
    assert "  From: The office <office@example.test>" in shown.lines
    assert "  Reply-To: answers@example.test" in shown.lines


@pytest.mark.parametrize("health", ["locked", "paused"])
def test_a_message_of_a_connection_that_does_not_work_waits_for_that_and_for_no_time(command, health):
    add(command, "Office")
    sent = command(*SENT).json["id"]
    assert "  Next attempt at " in command("message", "show", sent).output
    Connection.objects.update(health=health)
    shown = command("message", "show", sent)
    assert f"  It waits for Office, which is {health}." in shown.lines
    assert "Next attempt" not in shown.output


def test_a_message_of_a_throttled_connection_waits_until_that_works_again(command):
    add(command, "Office")
    sent = command(*SENT).json["id"]
    until = timezone.now().replace(microsecond=0) + timedelta(minutes=4)
    Connection.objects.update(health="throttled", health_until=until)
    shown = command("message", "show", sent)
    assert f"  It waits for Office, which is throttled until {until.isoformat()}." in shown.lines
    Delivery.objects.update(next_attempt_at=until + timedelta(hours=1))
    shown = command("message", "show", sent)
    assert f"  Next attempt at {(until + timedelta(hours=1)).isoformat()}" in shown.lines


def test_attempts_stand_apart_and_a_long_reply_goes_on_under_its_first_line(command):
    add(command, "Office")
    sent = command(*SENT).json["id"]
    step = {
        "phase": "ehlo",
        "sent": "EHLO here",
        "reply": {"code": 250, "enhanced": None, "text": "smtp.example.test\nPIPELINING\nSIZE 1000"},
        "elapsed_ms": 3,
        "error": None,
        "detail": "",
    }
    now = timezone.now()
    for _ in range(2):
        Attempt.objects.create(
            message=Message.objects.get(),
            connection=Connection.objects.get(),
            uid=uuid4(),
            connection_version=1,
            lane_epoch=1,
            started_at=now,
            ended_at=now,
            peer="192.0.2.7",
            tls="",
            steps=[step],
        )
    told = [
        f"Attempt at {now.isoformat(timespec='seconds')} 192.0.2.7",
        "  ehlo      EHLO here  250 smtp.example.test",
        "            PIPELINING",
        "            SIZE 1000",
    ]
    assert command("message", "show", sent).lines[-10:] == ["", *told, "", *told]


def test_deleting_or_deactivating_a_connection_tells_how_many_messages_that_holds(command):
    add(command, "Office")
    add(command, "Farm")
    for _ in range(2):
        command(*SENT, "--connection", "Farm")
    command(*SENT, "--connection", "Office")
    off = command("connection", "deactivate", "Farm")
    assert "Messages that ask for it are held until it is active again: 2." in off.lines
    assert command("connection", "deactivate", "Office", "--json").json["held"] == 1
    gone = command("connection", "delete", "Farm")
    assert gone.lines == [
        "Farm is deleted.",
        "Messages that ask for it and are held: 2. Only `message cancel` ends them.",
    ]


def test_a_connection_that_nothing_waits_for_goes_without_a_further_word(command):
    add(command, "Farm")
    add(command, "Office", "--default")
    command(*SENT, "--connection", "Farm")  # the default carries it
    assert command("connection", "delete", "Farm", "--json").json["held"] == 0


def test_settings_are_listed_under_the_names_that_set_takes(command):
    assert command("setting", "list").output == "default_mode  override\n"


def test_an_empty_list_of_source_addresses_says_so(command):
    assert command("source-address", "list").output == "None.\n"


def test_the_help_tells_the_limits_apart_and_names_no_empty_choice(command, capsys):
    for words in (("connection", "add", "--help"), ("send", "--help")):
        with pytest.raises(SystemExit):
            command(*words)
    told = " ".join(capsys.readouterr().out.split())
    assert "how many messages it takes in a minute; empty for no limit" in told
    assert "how many messages it takes in a day; empty for no limit" in told
    assert "--on-doubt {retry,hold}" in told


def test_a_remedy_names_the_option_besides_the_place_in_the_console(command):
    with SinkServer().in_thread() as sink:
        typed = ("--sender-email", "a@example.test", "--host", "127.0.0.1", "--port", str(sink.port))
        told = command("connection", "verify", *typed, "--encryption", "ssl").output
    assert "“Encryption” (--encryption)" in told
