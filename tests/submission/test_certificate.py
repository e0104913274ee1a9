"""The certificate is read anew where its files change: no restart, and never a broken one in use."""

import os
import pty
import socket
import ssl
import subprocess
import sys

import pytest
import structlog
from cryptography.hazmat.primitives import serialization

from scripted.certificates import self_signed, the_authority, the_certificate
from submission.door import Line
from vaguemestre.doors.submission.certificate import Certificate
from vaguemestre.doors.submission.limits import Limits


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def files(tmp_path):
    return the_certificate().write(tmp_path)


def replace(files, certificate):
    """As a renewal does: new files in the place of the old ones."""
    for path, content in zip(files, (certificate.pem, certificate.key), strict=True):
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(path)


def leaf(door, *, implicit):
    """What the listener shows to a client."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plug = socket.create_connection(("127.0.0.1", door.tls_port if implicit else door.port), timeout=10)
    if not implicit:
        line = Line(plug)
        assert line.reply()[0] == 220
        assert line.ask("EHLO client.example")[0] == 250
        assert line.ask("STARTTLS")[0] == 220
        line._read.detach()
    with context.wrap_socket(plug, server_hostname="localhost") as plug:
        return plug.getpeercert(binary_form=True)


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
def test_a_new_certificate_is_used_by_the_next_handshake(open_door, files, implicit):
    clock = Clock()
    certificate = Certificate(*files, clock)
    door = open_door(tls=certificate.context)
    assert leaf(door, implicit=implicit) == the_certificate().der
    renewed = the_authority().certificate("localhost")
    replace(files, renewed)
    assert leaf(door, implicit=implicit) == the_certificate().der  # looked at less than a second ago
    clock.now += 1
    assert leaf(door, implicit=implicit) == renewed.der


def test_open_sessions_go_on(open_door, files, key):
    clock = Clock()
    door = open_door(tls=Certificate(*files, clock).context)
    line = door.dial()
    assert line.ask("STARTTLS")[0] == 220
    line.secure(the_authority())
    replace(files, the_authority().certificate("localhost"))
    clock.now += 1
    leaf(door, implicit=True)
    assert line.ask("EHLO client.example")[0] == 250
    assert line.sign_in(key) == 235
    assert line.submit()[0] == 250


def without_key(chain, key):
    key.unlink()


def with_another_key(chain, key):
    key.write_bytes(self_signed().key)


def encrypted(chain, key):
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    kind, lock = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"canary")
    key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, kind, lock))


def empty(chain, key):
    chain.write_bytes(b"")


def half(chain, key):
    chain.write_bytes(chain.read_bytes()[:200])


@pytest.mark.parametrize("broken", [without_key, with_another_key, encrypted, empty, half])
def test_what_cannot_be_used_changes_nothing_and_is_said_once(files, broken):
    clock = Clock()
    certificate = Certificate(*files, clock)
    before = certificate.context()
    broken(*files)
    with structlog.testing.capture_logs() as events:
        for _ in range(5):
            clock.now += 1
            assert certificate.context() is before
    assert [(event["event"], event["log_level"]) for event in events] == [("certificate_unusable", "error")]
    assert events[0]["file"] == f"{files[0]}, {files[1]}"  # either may be the wrong one
    assert ("passphrase" in events[0]["reason"]) is (broken is encrypted)
    renewed = the_authority().certificate("localhost")
    replace(files, renewed)
    clock.now += 1
    with structlog.testing.capture_logs() as events:
        assert certificate.context() is not before
    assert [event["event"] for event in events] == ["certificate_renewed"]


def test_a_certificate_that_has_ended_is_said_once_at_the_start_and_anew_where_another_has(files):
    clock = Clock()
    replace(files, the_authority().expired())
    with structlog.testing.capture_logs() as events:
        certificate = Certificate(*files, clock)
        clock.now += 1
        certificate.context()
    assert [(event["event"], event["ended"]) for event in events] == [("certificate_ends", True)]
    with structlog.testing.capture_logs() as events:
        for renewed in (the_authority().certificate("localhost"), the_authority().expired()):
            replace(files, renewed)
            clock.now += 1
            certificate.context()
    told = ["certificate_renewed", "certificate_renewed", "certificate_ends"]
    assert [event["event"] for event in events] == told


def test_an_encrypted_key_ends_the_start_with_what_to_do_and_asks_nobody(files):
    encrypted(*files)
    program = (
        "import sys; from pathlib import Path;"
        "from vaguemestre.doors.submission.certificate import Certificate; Certificate(*map(Path, sys.argv[1:]))"
    )
    ours, theirs = pty.openpty()  # OpenSSL asks on the terminal that a session has, not on standard input
    command = ["setsid", "--ctty", sys.executable, "-c", program, *map(str, files)]
    ended = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)  # nothing was written to it
    os.close(ours)
    os.close(theirs)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"VAGUEMESTRE_SUBMISSION_CERTIFICATE: {files[0]}, {files[1]}: ")
    assert ended.stderr.endswith(
        ": the key is encrypted; store it without a passphrase, readable by the service alone.\n"
    )


def test_files_are_looked_at_once_a_second_at_most(files, monkeypatch):
    clock = Clock()
    certificate = Certificate(*files, clock)
    looks = []
    monkeypatch.setattr(certificate, "_look", lambda: looks.append(clock.now) or certificate._stamps)
    for tenth in range(31):
        clock.now = tenth / 10
        certificate.context()
    assert looks == pytest.approx([1.0, 2.0, 3.0])


def test_half_open_handshakes_count_as_sessions(open_door, files):
    door = open_door(Limits(sessions_of_peer=3), tls=Certificate(*files).context)
    plugs = [socket.create_connection(("127.0.0.1", door.tls_port), timeout=5) for _ in range(3)]
    last = socket.create_connection(("127.0.0.1", door.tls_port), timeout=5)
    assert last.recv(1) == b""  # the fourth of a peer that may have three
    for plug in [*plugs, last]:
        plug.close()
