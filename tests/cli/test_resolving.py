"""`message resolve`: a person decides what became of a message that may have arrived."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.kit import codes, connect, events, in_doubt, later, lease_of, only, post
from vaguemestre.ledger import messages, queue

TESTS = Path(__file__).parents[1]


@pytest.fixture
def office(db):
    return connect()


def doubted(office, *recipients):
    """A message in doubt, about which a person decides, with the attempt that it stems from."""
    message = post(*recipients, on_doubt="hold")
    in_doubt(office)
    return message, str(messages.deliveries_of(message)[0].attempt)


def test_what_arrived_is_accepted_and_stays_so(command, office):
    message, attempt = doubted(office)
    done = command("message", "resolve", str(message.uid), "--outcome", "arrived", "--attempt", attempt)
    assert done.status == 0
    assert done.lines[0].split(None, 1) == ["state", "accepted by the server"]
    found = only(message)
    assert (found.state, found.next_attempt_at, found.doubts) == ("accepted", None, 1)
    assert (codes(found)[-1], events(found)[-1].detail["actor"][:4]) == ("arrived", "cli:")
    again = command("message", "resolve", str(message.uid), "--outcome", "send_again")
    assert (again.status, again.refusals) == (1, ["Nothing of this message is in doubt any more."])
    assert only(message).state == "accepted"


def test_what_is_sent_again_is_queued_at_once_and_a_claim_takes_it(command, office):
    message, _ = doubted(office)
    done = command("message", "resolve", str(message.uid), "--outcome", "send_again", "--json")
    assert done.status == 0
    (told,) = done.json["deliveries"]
    assert (done.json["state"], told["state"]) == ("queued", "queued")
    found = only(message)
    assert (found.doubts, found.doubt_reason, codes(found)[-1]) == (0, "", "send_again")
    soon = later(days=60)
    assert len(queue.claim(lease_of(office, now=soon), 10, soon)) == 1


def test_one_recipient_may_be_decided_about_alone(command, office):
    message, _ = doubted(office, "a@example.com", "b@example.com")
    words = ["message", "resolve", str(message.uid), "--outcome", "arrived"]
    done = command(*words, "--recipient", "b@example.com", "--json")
    states = {one["recipient"]: one["state"] for one in done.json["deliveries"]}
    assert (done.json["state"], states) == (
        "mixed",
        {"a@example.com": "in_doubt", "b@example.com": "accepted"},
    )


# Made by a process of its own, on an installation's data: two doubts, of which somebody saw the first.
_DOUBTED_TWICE = """
import django
django.setup()
from ledger.kit import ACTOR, NOW, connect, in_doubt, later, only, post
from vaguemestre.ledger import messages
office, message = connect(), None
message = post(on_doubt="hold")
in_doubt(office)
print(message.uid, only(message).attempt)
messages.resolve(str(message.uid), "send_again", ACTOR, later(minutes=1))
in_doubt(office, later(minutes=2))
print(only(message).attempt)
"""


def test_d10_a_stale_attempt_is_refused_with_exit_1_and_the_reason_on_standard_error(installation):
    made = subprocess.run(
        [sys.executable, "-c", _DOUBTED_TWICE],
        env=installation.environment
        | {"DJANGO_SETTINGS_MODULE": "vaguemestre.settings", "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    uid, seen, latest = made.stdout.split()
    words = ["message", "resolve", uid, "--outcome", "arrived", "--json", "--attempt"]
    stale = installation.run(*words, seen)
    assert (stale.returncode, stale.stdout) == (1, "")
    assert stale.stderr == "There was another attempt since; look at the message again.\n"
    assert '"state": "in_doubt"' in installation.run("message", "show", uid, "--json").stdout
    done = installation.run(*words, latest)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"state": "accepted"' in done.stdout
