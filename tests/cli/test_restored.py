"""D11, L13: an installation whose data was copied or put back, as the operator meets it."""

import json

import pytest

from cli.installation import wait_for
from scripted.sink import SinkServer


@pytest.fixture
def sink():
    with SinkServer().in_thread() as server:
        yield server


def told(installation, *words, status=0):
    done = installation.run(*words, "--json")
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def send(installation, subject):
    return told(installation, "send", "--to", "to@example.com", "--subject", subject, "--text", "hello")


def subjects(sink):
    return [line for one in sink.accepted for line in one.content.decode().splitlines() if "Subject:" in line]


def test_l13_a_copied_data_directory_accepts_and_sends_nothing_until_a_person_says_so(
    installation, sink, tmp_path
):
    dialling = {"VAGUEMESTRE_EGRESS_ALLOW": "127.0.0.0/8", "VAGUEMESTRE_EGRESS_PORTS": str(sink.port)}
    installation.environment |= dialling
    office = ("--sender-email", "office@example.org", "--host", "127.0.0.1", "--port", str(sink.port))
    told(installation, "connection", "add", "Office", *office, "--encryption", "none")
    with installation.up() as running:
        send(installation, "first")
        wait_for(lambda: subjects(sink) == ["Subject: first"])
        running.stop()
    waits = send(installation, "of the original")
    copied = installation.copy_to(tmp_path / "copy")
    copied.environment |= dialling
    assert told(installation, "sending", "show")["state"] == "running"
    with copied.up() as running:
        wait_for(lambda: told(copied, "sending", "show")["state"] == "paused")
        shown = told(copied, "sending", "show")
        assert (shown["why"]["code"], shown["by"], shown["waiting"]) == ("elsewhere", "courier", 1)
        assert shown["why"]["text"].startswith("Sending is paused: this database does not lie where it lay")
        assert "paused already" in told(copied, "sending", "pause", status=1)
        assert send(copied, "new here")["state"] == "queued"
        resumed = told(copied, "sending", "resume", "--cancel-waiting")
        assert (resumed["state"], resumed["cancelled"]) == ("running", 1)
        wait_for(lambda: len(sink.accepted) == 2)
        assert told(copied, "message", "show", waits["id"])["state"] == "cancelled"
        running.stop()
    assert subjects(sink) == [f"Subject: {text}" for text in ("first", "new here")]
    assert "nothing to resume" in told(copied, "sending", "resume", status=1)
