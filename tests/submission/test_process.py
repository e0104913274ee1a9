"""The submission process: start, refusal to start, stop."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
from django.conf import settings

from cluster import migrated
from scripted.certificates import self_signed, the_authority, the_certificate
from scripted.ports import free_port
from submission.door import MESSAGE, Line, eventually
from vaguemestre.doors.submission import listener
from vaguemestre.environment import Bind

PROGRAM = """
import sys
import django
import structlog
from django.conf import settings
django.setup()
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from django.utils import timezone
from vaguemestre.doors.submission import listener
from vaguemestre.ledger import keys
print(keys.create("tests", ["send"], "cli:tests", timezone.now())[1], flush=True)
listener.run(settings.ENVIRONMENT, ready=lambda: print("ready", flush=True))
"""


@pytest.fixture
def process(tmp_path):
    """Starts the listener's process on SQLite in a directory of its own; answers with it and a key."""
    shutil.copytree(migrated.on_sqlite(), tmp_path, dirs_exist_ok=True)
    started = []

    def start(**variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VAGUEMESTRE_")}
        kept.pop("DATABASE_URL", None)
        source = Path(listener.__file__).parents[3]
        environment = kept | {
            "DJANGO_SETTINGS_MODULE": "vaguemestre.settings",
            "PYTHONPATH": str(source),
            "VAGUEMESTRE_DATA_DIR": str(tmp_path),
            "VAGUEMESTRE_SECRET_KEY": "a key of the test run, long enough to be taken",
            **variables,
        }
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child, child.stdout.readline().strip()

    yield start
    for child in started:
        child.kill()
        child.communicate()


def dial(port):
    line = Line(socket.create_connection(("127.0.0.1", port), timeout=10))
    assert line.reply()[0] == 220
    assert line.ask("EHLO client.example")[0] == 250
    return line


def test_sigterm_lets_content_finish_and_ends_with_status_0(process):
    port = free_port()
    child, key = process(VAGUEMESTRE_SUBMISSION_BIND=f"127.0.0.1:{port}")
    assert child.stdout.readline() == "ready\n"
    idle, busy = dial(port), dial(port)
    assert busy.sign_in(key) == 235
    busy.envelope()
    busy.write(MESSAGE)
    time.sleep(0.2)
    child.send_signal(signal.SIGTERM)
    assert idle.reply()[0] == 421
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    busy.write(b".\r\n")
    assert busy.reply()[0] == 250
    assert busy.reply()[0] == 421
    busy.close()
    assert child.wait(5) == 0
    assert key not in child.stderr.read()


def test_a_port_in_use_is_one_sentence(process):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child, _ = process(VAGUEMESTRE_SUBMISSION_BIND=f"127.0.0.1:{port}")
        assert child.wait(20) == 1
    said = child.stderr.read()
    assert said.startswith("The submission listener cannot start: ")
    assert str(port) in said
    assert len(said.splitlines()) == 1


def refusal(**changes):
    with pytest.raises(SystemExit) as leaving:
        listener.terms_of(replace(settings.ENVIRONMENT, **changes))
    return leaving.value.code


@pytest.mark.parametrize(
    "network", ["0.0.0.0/0", "::/0", "203.0.113.0/24", "10.0.0.0/7", "2000::/3", "100.64.0.0/10", "0.0.0.0/8"]
)
def test_i06_it_refuses_to_start_as_an_open_relay(network):
    said = refusal(submission_trust=(ip_network(network),))
    assert said.startswith("VAGUEMESTRE_SUBMISSION_TRUST: only private networks")


@pytest.mark.parametrize("network", ["192.168.7.0/24", "10.0.0.0/8", "fd00:1::/64", "127.0.0.1/32"])
def test_private_networks_may_be_trusted(network):
    terms = listener.terms_of(replace(settings.ENVIRONMENT, submission_trust=(ip_network(network),)))
    assert terms.trust == (ip_network(network),)


def test_implicit_tls_needs_a_certificate():
    said = refusal(submission_tls_bind=Bind("127.0.0.1", 0))
    assert said == "VAGUEMESTRE_SUBMISSION_TLS_BIND needs VAGUEMESTRE_SUBMISSION_CERTIFICATE."


def test_a_certificate_without_its_key_is_one_sentence(tmp_path):
    chain, _ = the_certificate().write(tmp_path)
    other = tmp_path / "other.pem"
    other.write_bytes(self_signed().key)
    for key in (None, other):
        said = refusal(submission_certificate=chain, submission_key=key)
        files = f"{chain}" if key is None else f"{chain}, {key}"
        assert said.startswith(f"VAGUEMESTRE_SUBMISSION_CERTIFICATE: {files}: ")
        assert len(said.splitlines()) == 1


def test_the_limit_of_a_message_is_the_environments():
    terms = listener.terms_of(replace(settings.ENVIRONMENT, max_message_bytes=12_345))
    assert terms.limits.message == 12_345


@pytest.mark.parametrize(
    ("host", "trust", "warnings"),
    [
        ("127.0.0.1", (), 0),
        ("::1", (), 0),
        ("0.0.0.0", (), 1),
        ("192.168.1.5", (), 1),
        ("192.168.1.5", ("127.0.0.0/8",), 1),
        ("192.168.1.5", ("192.168.1.0/24",), 0),
    ],
)
def test_a_bind_that_others_reach_without_certificate_or_trust_is_warned_of(host, trust, warnings):
    trusted = tuple(map(ip_network, trust))
    with structlog.testing.capture_logs() as events:
        listener.warn(
            replace(settings.ENVIRONMENT, submission_bind=Bind(host, 2525), submission_trust=trusted)
        )
    assert [event["event"] for event in events] == ["submission_without_certificate"] * warnings


def test_sighup_looks_at_the_certificate_and_ends_nothing(process, tmp_path):
    chain, key = the_certificate().write(tmp_path)
    port = free_port()
    child, _ = process(
        VAGUEMESTRE_SUBMISSION_BIND="127.0.0.1:0",
        VAGUEMESTRE_SUBMISSION_TLS_BIND=f"127.0.0.1:{port}",
        VAGUEMESTRE_SUBMISSION_CERTIFICATE=str(chain),
        VAGUEMESTRE_SUBMISSION_KEY=str(key),
    )
    assert child.stdout.readline() == "ready\n"
    assert shown_at(port) == the_certificate().der
    renewed = the_authority().certificate("localhost")
    chain.write_bytes(renewed.pem)
    key.write_bytes(renewed.key)
    child.send_signal(signal.SIGHUP)
    assert eventually(lambda: shown_at(port) == renewed.der)
    assert child.poll() is None


def shown_at(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plug = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plug) as secured:
        return secured.getpeercert(binary_form=True)
