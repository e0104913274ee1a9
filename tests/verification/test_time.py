"""The answer is there in time, whatever the server does, and every step as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time

import pytest

from scripted.certificates import the_authority, the_certificate
from scripted.client import PASSWORD, loopback_network
from scripted.ports import black_hole
from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.ledger.models import Verification
from vaguemestre.mail.transcript import Step
from vaguemestre.verification.probe import AT_ONCE, OF_KEYS, Busy, Outcome, verify
from verification.trial import GREETED, NOW, WELCOMED, draft_to, outcome, played

pytestmark = pytest.mark.django_db

WITHIN = 0.6  # seconds, in place of 14
SLACK = 0.4

LOGIN = r"S- 250-mx\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n"
SIGNED_IN = f"{GREETED}\n{LOGIN}\nC~ AUTH PLAIN .*\nS: 235 ok"
OFFERED = f"{GREETED}\n" + r"S- 250-mx\r\n250 STARTTLS\r\n"
HANGING = {
    "greeting": ("@close", "none", "silent"),
    "ehlo": (f"{GREETED}\n@close", "none", "out_of_time"),
    "tls": ("@close any", "ssl", "out_of_time"),
    "starttls": (f"{OFFERED}\nC: STARTTLS\n@close", "starttls", "out_of_time"),
    "handshake": (f"{OFFERED}\nC: STARTTLS\nS: 220 go\n@close any", "starttls", "out_of_time"),
    "auth": (f"{GREETED}\n{LOGIN}\nC~ AUTH PLAIN .*\n@close", "none", "out_of_time"),
    "mail": (f"{WELCOMED}\nC~ MAIL FROM:.*\n@close", "none", "out_of_time"),
    "rset": (f"{WELCOMED}\nC~ MAIL FROM:.*\nS: 250 ok\nC: RSET\n@close", "none", "ok"),
    "quit": (f"{WELCOMED}\nC~ MAIL FROM:.*\nS: 250 ok\nC: RSET\nS: 250 ok\nC: QUIT\n@close", "none", "ok"),
    "quit after a refusal": (
        f"{WELCOMED}\nC~ MAIL FROM:.*\nS: 550 5.1.8 no\nC: QUIT\n@close",
        "none",
        "sender_refused",
    ),
}


@pytest.mark.parametrize("phase", HANGING)
def test_a_server_that_hangs_is_left_in_time(network, phase):
    script, encryption, code = HANGING[phase]
    password = PASSWORD if phase == "auth" else ""
    with played(ScriptedServer(script)) as server:
        started = time.monotonic()
        found = outcome(draft_to(server, encryption, password=password), network, within=WITHIN)
        assert time.monotonic() - started < WITHIN + SLACK
    assert found.findings[0].code == code


@pytest.mark.parametrize(
    ("script", "encryption"),
    [
        ("@drip 0.05\nS: 220-" + "x" * 500, "none"),
        (f"S: 220 mx\nC: EHLO client.example.org\n@drip 0.05\nS: 250-{'x' * 500}", "none"),
        ("S: 220 mx\nC: EHLO client.example.org\n@endless 250-MORE", "none"),
        (r"@drip 0.05" + "\n@read 5\nS- " + r"\x16\x03\x03\x40\x00" + "x" * 500, "ssl"),
        (f"{SIGNED_IN}\nC~ MAIL FROM:.*\n@drip 0.05\nS: 250-{'x' * 500}", "none"),
    ],
)
def test_a_server_that_drips_is_left_in_time(network, script, encryption):
    password = PASSWORD if "AUTH" in script else ""
    with played(ScriptedServer(f"{script}\n@close any")) as server:
        started = time.monotonic()
        found = outcome(draft_to(server, encryption, password=password), network, within=WITHIN)
        assert time.monotonic() - started < WITHIN + SLACK
    assert not found.ok


@contextlib.contextmanager
def behaving(serve):
    """`serve(listener, links)` in a thread; the links it enters stay open until the end."""
    with contextlib.ExitStack() as links, socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, links), daemon=True)
        thread.start()
        yield type("Server", (), {"port": listener.getsockname()[1]})
        thread.join(5)


def test_a_refused_certificate_is_read_again_only_while_there_is_time(network):
    wrong = the_authority().certificate("mail.other.example").context()

    def shake_slowly_then_never(listener, links):
        first = links.enter_context(listener.accept()[0])
        time.sleep(0.7)
        with contextlib.suppress(OSError):
            wrong.wrap_socket(first, server_side=True).close()
        links.enter_context(listener.accept()[0])

    with behaving(shake_slowly_then_never) as server:
        started = time.monotonic()
        found = outcome(draft_to(server, "ssl"), network, within=2.0)
        assert time.monotonic() - started < 2.0 + SLACK
    assert found.findings[0].code == "certificate_wrong_name"
    assert "names" not in found.findings[0].facts


def test_a_server_that_answers_quit_late_and_never_closes_is_left_in_time(network):
    right = the_certificate().context()

    def keep_the_link(listener, links):
        link = links.enter_context(right.wrap_socket(listener.accept()[0], server_side=True))
        link.sendall(b"220 mx.example.org\r\n")
        while not (line := link.recv(1000)).startswith(b"QUIT"):
            link.sendall(b"550 5.1.8 no\r\n" if line.startswith(b"MAIL") else b"250 ok\r\n")
        time.sleep(0.4)
        link.sendall(b"221 bye\r\n")

    with behaving(keep_the_link) as server:
        started = time.monotonic()
        found = outcome(draft_to(server, "ssl"), network, within=1.0)
        assert time.monotonic() - started < 1.0 + SLACK / 2
    assert found.findings[0].code == "sender_refused"


def test_a_name_that_resolves_for_ever_and_a_port_that_never_answers(network):
    async def lookup(host, port):
        await asyncio.sleep(60)

    with black_hole() as server:
        for net, code in ((loopback_network(lookup=lookup), "lookup_failed"), (network, "no_answer")):
            started = time.monotonic()
            found = outcome(draft_to(server), net, within=WITHIN)
            assert time.monotonic() - started < WITHIN + SLACK
            assert found.findings[0].code == code


def test_a_server_that_takes_its_time_everywhere_is_left_within_15_seconds(network):
    def slow(reply):
        return lambda moment: Answer(reply, delay=4.0)

    hooks = {
        "greeting": slow("220 mx.example.org"),
        "ehlo": slow("250-mx.example.org\r\n250-8BITMIME\r\n250 AUTH PLAIN"),
        "auth": slow("235 ok"),
        "mail": slow("250 ok"),
    }
    with SinkServer(login="app", password=PASSWORD, hooks=hooks).in_thread() as sink:
        started = time.monotonic()
        found = outcome(draft_to(sink, password=PASSWORD), network)
        took = time.monotonic() - started
    assert 12.0 < took < 15.0
    assert found.findings[0].code == "out_of_time"
    assert found.findings[0].phase == "mail"


def test_a_step_arrives_before_the_server_answers_the_next(network):
    gate, opened = threading.Event(), []

    def wait_for_the_reader(moment):
        opened.append(gate.wait(5))

    with SinkServer(hooks={"ehlo": wait_for_the_reader}).in_thread() as sink:
        steps = verify(draft_to(sink), NOW, network=network)
        seen = [next(steps), next(steps), next(steps)]
        assert [step.phase for step in seen] == ["resolve", "connect", "greeting"]
        gate.set()
        *_, last = steps
    assert opened == [True]
    assert isinstance(last, Outcome)
    assert last.ok


def test_a_generator_that_is_closed_ends_the_dialogue_and_keeps_nothing(network):
    with SinkServer(hooks={"ehlo": lambda _: Answer(delay=30)}).in_thread() as sink:
        steps = verify(draft_to(sink), NOW, network=network)
        assert [next(steps).phase for _ in range(3)] == ["resolve", "connect", "greeting"]
        started = time.monotonic()
        steps.close()
        assert time.monotonic() - started < 1
        assert not any(thread.name == "verification" for thread in threading.enumerate())
    assert Verification.objects.count() == 0


def test_a_generator_that_is_never_started_ends_with_its_last_reference(network):
    with SinkServer().in_thread() as sink:  # whether it was dialled by then is a matter of chance
        steps = verify(draft_to(sink), NOW, network=network)
        del steps
        gc.collect()
        assert not any(thread.name == "verification" for thread in threading.enumerate())
    assert Verification.objects.count() == 0


def test_an_abandoned_link_is_closed_for_the_server_too(network):
    with played(ScriptedServer("S: 220 mx.example.org\nC: EHLO client.example.org\n@close")) as server:
        steps = verify(draft_to(server), NOW, network=network)
        assert [next(steps).phase for _ in range(3)] == ["resolve", "connect", "greeting"]
        steps.close()
    # `@close` has waited until our side was closed, or `played` had complained.
    assert server.connections == 1


def test_too_many_at_once_are_told_at_once_and_nothing_is_dialled(network):
    silent = {"greeting": lambda _: Answer(delay=30)}
    with SinkServer(hooks=silent).in_thread() as sink:
        running = [verify(draft_to(sink), NOW, network=network) for _ in range(AT_ONCE)]
        for steps in running:
            assert isinstance(next(steps), Step)
            assert isinstance(next(steps), Step)
        started = time.monotonic()
        with pytest.raises(Busy, match="Try again"):
            verify(draft_to(sink), NOW, network=network)
        assert time.monotonic() - started < 1
        time.sleep(0.3)  # the sink's own thread counts, and a ninth would be there by now
        assert sink.sessions == AT_ONCE
        for steps in running:
            steps.close()
    with SinkServer().in_thread() as sink:
        assert outcome(draft_to(sink), network).ok


def test_programs_leave_places_to_people(network):
    silent = {"greeting": lambda _: Answer(delay=30)}
    with SinkServer(hooks=silent).in_thread() as sink:
        running = [verify(draft_to(sink), NOW, network=network, by_key=True) for _ in range(OF_KEYS)]
        with pytest.raises(Busy):
            verify(draft_to(sink), NOW, network=network, by_key=True)
        running += [verify(draft_to(sink), NOW, network=network) for _ in range(AT_ONCE - OF_KEYS)]
        for steps in running:
            steps.close()
    with SinkServer().in_thread() as sink:
        assert isinstance(list(verify(draft_to(sink), NOW, network=network, by_key=True))[-1], Outcome)


def test_sixty_verifications_take_far_less_than_a_minute(network):
    started = time.monotonic()
    with SinkServer(encryption="ssl", login="app", password=PASSWORD).in_thread() as sink:
        for _ in range(60):
            assert outcome(draft_to(sink, "ssl", password=PASSWORD), network).ok
    assert time.monotonic() - started < 30
    assert sink.sessions == 60
    assert Verification.objects.count() == 60
