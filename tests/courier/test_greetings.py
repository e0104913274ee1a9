"""U06-U11: greetings that come late, never, in another protocol, or in words that turn us away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from upstream_fault import ACCEPTED, READY, SECRETS, everybody, facing, trusting, waits

from scripted.client import loopback_network
from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections
from vaguemestre.smtp.timeouts import Timeouts

pytestmark = pytest.mark.any_database

NO_DIALOGUE = "The server was reached, and the dialogue broke before it began."
AWAY = "The server turns us away before it takes any mail."
CLOSING = "The server is closing its service for now."
NOT_LISTED = (
    "The server does not let our IP address in; have the addresses of the whitelist page put on its list."
)
NOT_SMTP = "What answers there is not an SMTP server; check server and port."
WANTS_SSL = "On this port the server wants encryption from the first moment: choose SSL."
NO_SSL = "On this port the server does not take SSL: choose TLS."

SCALE = 500  # the greeting's 300 seconds are 0.6 here


def once(answer):
    """A hook that gives this answer to the first session."""
    return lambda moment: answer if moment.session == 1 else None


@pytest.mark.parametrize("seconds", [1, 29])
async def test_u06_a_late_greeting_is_waited_for(office, seconds):
    office.timeouts = replace(Timeouts().at_most(2.0), greeting=300 / SCALE)
    late = Answer("220 sink.example.org at last", delay=seconds / SCALE)
    async with SinkServer(hooks={"greeting": lambda _: late}) as sink, facing(office, sink) as fault:
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
    assert everybody(sink) == ["to@example.com"]


@pytest.mark.parametrize("script", [f"@delay {400 / SCALE}\nS: 220 too late\n@close any", "@silence"])
async def test_u06_a_greeting_beyond_its_deadline_keeps_the_mail(office, script):
    office.timeouts = replace(Timeouts().at_most(2.0), greeting=300 / SCALE)
    async with ScriptedServer(script) as server, facing(office, server) as fault:
        assert await fault.end() == waits(NO_DIALOGUE)
        assert await fault.health() == ("throttled", NO_DIALOGUE, "", 60.0)
        (attempt,) = await fault.tried()
        assert 0.6 <= (attempt.ended_at - attempt.started_at).total_seconds() < 1.5


@pytest.mark.parametrize(
    ("reply", "text", "wait"),
    [
        ("421 4.3.2 not now", CLOSING, 60.0),
        ("421 4.3.2 try again in 10 minutes", CLOSING, 600.0),
        ("554 5.3.2 no service here", AWAY, 60.0),
        ("450 4.3.2 full", AWAY, 60.0),
        (
            "554 5.7.1 client host [192.0.2.1] rejected: access denied",
            NOT_LISTED,
            60.0,
        ),
    ],
)
async def test_u07_u08_a_greeting_that_turns_us_away_never_refuses_mail(office, reply, text, wait):
    async with SinkServer(hooks={"greeting": once(Answer(reply))}) as sink, facing(office, sink) as fault:
        assert await fault.end() == waits(text, wait)
        assert await fault.health() == ("throttled", text, reply, wait)
        assert await fault.said() == reply
        await fault.later(seconds=wait + 1)
        await fault.accepted()
        assert await fault.health() == READY
    assert everybody(sink) == ["to@example.com"]


@pytest.mark.parametrize(
    "banner",
    [
        r"HTTP/1.1 400 Bad Request secret-banner\r\n",
        r"SSH-2.0-OpenSSH_9.9 secret-banner\r\n",
        r"+OK POP3 secret-banner\r\n",
        r"\x01\x02\x03 secret-banner",
    ],
)
async def test_u09_another_protocol_is_named_and_its_words_are_not_repeated(office, banner):
    async with (
        ScriptedServer(f"S- {banner}\n@close") as server,
        facing(office, server, unsaid=["secret-banner"]) as fault,
    ):
        assert await fault.end() == waits(NOT_SMTP)
        assert await fault.health() == ("throttled", NOT_SMTP, "", 60.0)
        assert await fault.said() == ""


async def test_u09_a_tls_alert_in_place_of_a_greeting(office):
    async with ScriptedServer("@alert\n@close") as server, facing(office, server) as fault:
        assert await fault.end() == waits(WANTS_SSL)
        assert await fault.health() == ("throttled", WANTS_SSL, "", 60.0)


@pytest.mark.parametrize("script", ["@silence", "@drop"])
async def test_u10_starttls_on_a_port_for_ssl_suggests_ssl(office, script):
    office.timeouts = replace(office.timeouts, greeting=0.4)
    # An address of its own, since the port has to be one of the well-known.
    async with (
        ScriptedServer(script, host="127.0.4.66", port=2465) as server,
        facing(office, server, connect={"host": "127.0.4.66", "encryption": "starttls"}) as fault,
    ):
        assert await fault.end() == waits(WANTS_SSL)
        assert await fault.health() == ("throttled", WANTS_SSL, "", 60.0)


async def test_u10_ssl_on_a_port_for_starttls_suggests_what_then_works(office, tmp_path):
    async with (
        SinkServer(encryption="starttls") as sink,
        # What it hears of TLS before STARTTLS makes no sense to it.
        facing(
            office, sink, network=trusting(tmp_path), connect={"encryption": "ssl"}, lawful=False
        ) as fault,
    ):
        assert await fault.end() == waits(NO_SSL)
        assert await fault.health() == ("throttled", NO_SSL, "", 60.0)
        change = {"encryption": "starttls"}
        await office.ask(connections.edit, str(fault.connection.uid), change, "test", office.clock())
        await fault.accepted()
        assert await fault.health() == READY
    assert everybody(sink) == ["to@example.com"]
    assert sink.accepted[0].tls


async def test_u11_a_greeting_of_several_lines_is_one(office):
    several = Answer("220-sink.example.org\r\n220-no spam\r\n220 ready")
    async with SinkServer(hooks={"greeting": lambda _: several}) as sink, facing(office, sink) as fault:
        assert await fault.end() == ACCEPTED
        (attempt,) = await fault.tried()
        assert attempt.steps[2]["reply"]["text"] == "sink.example.org\nno spam\nready"
    assert everybody(sink) == ["to@example.com"]


@pytest.mark.parametrize(
    "script", ["@endless 220-more and more", "@drip 0.05\nS: 220 mx.example.org drips\n@close"]
)
async def test_u11_an_endless_or_dripping_greeting_ends_with_the_total_deadline(office, script):
    office.timeouts = replace(office.timeouts, greeting=0.4)
    async with (
        ScriptedServer(script) as server,
        facing(office, server, network=loopback_network(), unsaid=[*SECRETS, "more and more"]) as fault,
    ):
        assert await fault.end() == waits(NO_DIALOGUE)
        assert await fault.health() == ("throttled", NO_DIALOGUE, "", 60.0)
