"""What commands show of connections and messages: why something waits, what was asked, what leaves."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from scripted.sink import SinkServer
from vaguemestre.ledger import delays, leases
from vaguemestre.ledger.models import Attempt, Connection, Delivery, Lane, Message
from vaguemestre.policy.schedule import RetrySchedule

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


@pytest.fixture
def courier():
    """A courier that holds every lane there is when it is called."""
    return lambda: leases.take("a-test's-courier", timezone.now())


def outlook(command, sent):
    """The last line of the only delivery."""
    return command("message", "show", sent).lines[-1].strip()


def at(moment):
    return f"on {moment:%Y-%m-%d} at {moment:%H:%M:%S} UTC"


def test_message_show_tells_when_it_leaves_and_what_keeps_it(command, courier):
    add(command, "Office")
    sent = command(*SENT).json["id"]
    no_courier = "No courier is running, so nothing leaves. Whoever runs this installation has to start it."
    assert outlook(command, sent) == no_courier
    courier()
    assert outlook(command, sent) == "It leaves now."
    Connection.objects.update(health="locked", health_why="sign_in_refused", health_text="535 5.7.8 no")
    told = outlook(command, sent)
    assert told.startswith("It waits for “Office”. The server refused the login or the password.")
    assert told.endswith(
        "It sends again once the password is typed anew or a verification succeeds. The server said: “535 5.7.8 no”"
    )
    Connection.objects.update(health="paused", health_text="cli:ada")
    assert (
        outlook(command, sent)
        == "It waits for “Office”, which is paused. It was paused by ada (command line)."
    )


def test_message_show_tells_until_when_a_throttle_or_its_own_time_keeps_it(command, courier):
    add(command, "Office")
    sent = command(*SENT).json["id"]
    courier()
    until = timezone.now().replace(microsecond=0) + timedelta(minutes=4)
    Connection.objects.update(health="throttled", health_until=until, health_why="service_closing")
    told = (
        f"It waits for “Office”, which is tried again {at(until)}. The server is closing its service for now."
    )
    assert outlook(command, sent) == told
    Delivery.objects.update(next_attempt_at=until + timedelta(hours=1), attempt=uuid4())
    assert outlook(command, sent) == f"The next attempt is {at(until + timedelta(hours=1))}."


def test_message_show_tells_that_it_is_late(command, courier):
    add(command, "Office")
    sent = command(*SENT).json["id"]
    courier()
    now = timezone.now()
    assert "Late" not in command("message", "show", sent).output
    assert delays.look(now, RetrySchedule(delay_notice=1e-6)).told == 1
    assert f"  Late: told {now.isoformat(timespec='seconds')}" in command("message", "show", sent).lines
    (told,) = command("message", "show", sent, "--json").json["deliveries"]
    assert told["delayed_at"].startswith(f"{now:%Y-%m-%dT%H:%M:%S}")


def test_message_show_says_once_why_it_is_held_and_what_the_server_said(command):
    sent = command(*SENT).json["id"]
    shown = command("message", "show", sent)
    assert shown.lines[-1] == "  No connection is active. The message leaves once one is."
    assert shown.output.count("No connection is active.") == 1
    add(command, "Office")
    Delivery.objects.update(
        state="accepted", settled_at=timezone.now(), last_code=250, last_text="2.0.0 Ok", next_attempt_at=None
    )
    shown = command("message", "show", sent)
    assert "  The server said: 250 2.0.0 Ok" in shown.lines
    assert shown.lines[-1].startswith("  The server accepted it on 20")


def test_message_show_says_what_to_do_about_a_refused_recipient(command):
    sent = command(*SENT).json["id"]
    add(command, "Office")
    Delivery.objects.update(
        state="refused", settled_at=timezone.now(), next_attempt_at=None, last_code=550, last_text="no",
        trouble={"why": "recipient_refused", "facts": {}},
    )  # fmt: skip
    todo = "Check the address, or reach the recipient another way."
    assert command("message", "show", sent).lines[-1] == f"  {todo}"
    assert command("message", "show", sent, "--json").json["deliveries"][0]["remedy"] == todo


def test_connection_show_tells_what_it_is_doing_and_why_not(command, courier):
    add(command, "Office")
    sent = command(*SENT).json["id"]
    courier()
    shown = facts(command("connection", "show", "Office"))
    assert shown["doing"] == "A courier is about to take up what is due."
    assert (shown["due"], shown["waiting"], shown["in doubt"]) == ("1", "0", "0")
    assert shown["oldest due at"].startswith("20")
    assert shown["manner"] == "bdat"
    assert "sessions" not in shown
    now = timezone.now()
    activity = {"sessions": 2, "in_flight": 7, "window": 4, "waiting": 0, "at": now.isoformat()}
    Lane.objects.update(
        activity=activity, manner="data", manner_why="bdat_refused", manner_at=now,
        manner_version=Connection.objects.get().version,
    )  # fmt: skip
    shown = facts(command("connection", "show", "Office"))
    assert shown["doing"] == "It is sending."
    assert (shown["sessions"], shown["in flight"], shown["window"], shown["manner"]) == (
        "2",
        "7",
        "4",
        "data",
    )
    assert shown["manner why"].startswith("The server announces CHUNKING, and refuses it. Learned on 20")
    lane = command("connection", "show", "Office", "--json").json["lane"]
    assert (lane["code"], lane["due"], lane["more"]) == ("sending", 1, [])
    assert command("message", "show", sent, "--json").json["deliveries"][0]["outlook"]["code"] == "leaves_now"


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
    assert command("setting", "list").output == "default_mode  override\nrenew_verifications  on\n"


def test_an_empty_list_of_source_addresses_says_so(command):
    assert command("source-address", "list").output == "None.\n"


def test_the_help_tells_the_limits_apart_and_names_no_empty_choice(command, capsys):
    for words in (("connection", "add", "--help"), ("send", "--help")):
        with pytest.raises(SystemExit):
            command(*words)
    told = " ".join(capsys.readouterr().out.split())
    assert "how many messages it takes in a minute; empty for no limit" in told
    assert "how many recipients it takes in 24 hours; empty for no limit" in told
    assert "--on-doubt {retry,hold}" in told


def test_a_remedy_names_the_option_besides_the_place_in_the_console(command):
    with SinkServer().in_thread() as sink:
        typed = ("--sender-email", "a@example.test", "--host", "127.0.0.1", "--port", str(sink.port))
        told = command("connection", "verify", *typed, "--encryption", "ssl").output
    assert "“Encryption” (--encryption)" in told
