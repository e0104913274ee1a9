"""A port that waits for TLS, on whatever number: told within seconds, and no slow server is mistaken for one."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from scripted.client import PASSWORD
from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.verification.probe import TIMEOUTS
from verification.trial import draft_to, outcome, played

pytestmark = pytest.mark.django_db

SOON = replace(TIMEOUTS, silence=0.1)  # in place of 2 s
SPEAKS = "C: EHLO client.example.org\n" + r"S- 250-mx\r\n250 8BITMIME\r\n" + "\nC~ MAIL FROM:.*\nS: 250 ok"
SPEAKS += "\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye"


@pytest.mark.parametrize("encryption", ["starttls", "none"])
def test_u10_a_port_of_any_number_that_waits_for_tls_is_told_at_once_and_hears_nothing(network, encryption):
    with SinkServer(encryption="ssl", login="app", password=PASSWORD).in_thread() as sink:
        started = time.monotonic()
        found = outcome(draft_to(sink, encryption, password=PASSWORD), network, timeouts=SOON)
        assert time.monotonic() - started < 2
    assert found.findings[0].code == "starttls_on_ssl_port"
    assert (found.steps[-1].phase, found.steps[-1].error) == ("greeting", "tls_expected")
    assert not sink.commands


def test_u10_it_takes_two_seconds_as_people_wait_for_it():
    assert TIMEOUTS.silence == 2.0
    assert replace(TIMEOUTS, silence=2.0).at_most(1.0).silence == 2.0


@pytest.mark.parametrize(
    "beside", ["@close any", "@close any\nS: 220 mx", "@drop", "@read 5\nS: 220 mx\n@close any"]
)
def test_u06_a_server_that_only_greets_late_is_heard(network, beside):
    script = f"@delay 0.4\nS: 220 mx.example.org\n{SPEAKS}\n----\n{beside}"
    with played(ScriptedServer(script)) as server:
        found = outcome(draft_to(server), network, timeouts=SOON)
    assert found.ok


def test_a_server_that_has_begun_to_speak_is_not_asked(network):
    script = f"S- 220 mx\n@delay 0.3\nS- .example.org\\r\\n\n{SPEAKS}"
    with played(ScriptedServer(script)) as server:
        assert outcome(draft_to(server), network, timeouts=SOON).ok
        assert server.connections == 1


def test_u10_ssl_on_a_port_of_any_number_that_starts_in_clear_is_told_at_once(network):
    hooks = {"greeting": lambda _: Answer("220 mx.example.org", delay=0.2)}
    for late in ({}, hooks):
        with SinkServer(hooks=late).in_thread() as sink:
            started = time.monotonic()
            found = outcome(draft_to(sink, "ssl", password=PASSWORD), network)
            assert time.monotonic() - started < 2
        assert found.findings[0].code == "ssl_on_starttls_port"
