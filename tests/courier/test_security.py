"""U16-U20: encryption that is not offered, refused, broken or not to be trusted. Nothing secret is said first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from upstream_fault import (
    ACCEPTED,
    LOGIN,
    PASSWORD,
    PLAIN,
    READY,
    SIGNED_IN,
    WORD,
    everybody,
    facing,
    trusting,
    waits,
)

from scripted.certificates import Authority, self_signed, the_authority
from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections

pytestmark = pytest.mark.any_database

STARTTLS = {"encryption": "starttls", **SIGNED_IN}
MISSING = "The server offers no encryption, which this connection requires. No password was sent."
FAILED = "No trustworthy encrypted session could be had with the server."
UNVOUCHED = (
    "Nobody we know vouches for the server's certificate. If the server is your own, verify the connection and"
    " pin the certificate."
)


def said_no_secret(heard):
    return not any(secret.encode() in heard for secret in (PASSWORD, PLAIN, WORD))


def signing_in(**sink):
    return SinkServer(login=LOGIN, password=PASSWORD, require_auth=True, **sink)


# U16


async def test_u16_without_starttls_not_a_byte_of_the_login_leaves(office, tmp_path):
    async with (
        signing_in() as sink,
        facing(office, sink, connect=STARTTLS, network=trusting(tmp_path)) as fault,
    ):
        assert await fault.end() == waits(MISSING)
        assert await fault.health() == ("throttled", MISSING, "", 60.0)
        assert (await office.delivery(fault.message)).trouble["facts"]["offered"].startswith("8BITMIME AUTH")
    assert [line.split()[0] for _, line in sink.commands] == ["EHLO", "QUIT"]
    assert said_no_secret(sink.heard)


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "502 5.5.1 not implemented"])
async def test_u16_starttls_is_refused(office, tmp_path, reply):
    async with (
        signing_in(encryption="starttls", hooks={"starttls": lambda _: Answer(reply)}) as sink,
        facing(office, sink, connect=STARTTLS, network=trusting(tmp_path)) as fault,
    ):
        assert await fault.end() == waits(FAILED)
        assert await fault.health() == ("throttled", FAILED, reply, 60.0)
    assert [line.split()[0] for _, line in sink.commands] == ["EHLO", "STARTTLS", "QUIT"]
    assert said_no_secret(sink.heard)


async def test_u16_starttls_that_is_offered_only_sometimes_is_used_when_it_is(office, tmp_path):
    bare = Answer("250-sink.example.org\r\n250 AUTH PLAIN")
    hooks = {"ehlo": lambda moment: bare if moment.session == 1 else None}
    async with (
        signing_in(encryption="starttls", hooks=hooks) as sink,
        facing(office, sink, connect=STARTTLS, network=trusting(tmp_path)) as fault,
    ):
        assert await fault.end() == waits(MISSING)
        assert said_no_secret(sink.heard)
        await fault.later(seconds=61)
        await fault.accepted()
        assert await fault.health() == READY
    assert [(taken.tls, taken.login) for taken in sink.accepted] == [(True, LOGIN)]


# U17

STARTED = (
    "S: 220 mx.example.org ESMTP\nC~ EHLO \\S+\nS- 250-mx\\r\\n250-AUTH PLAIN\\r\\n250 STARTTLS\\r\\n\n"
    "C: STARTTLS\n"
)


@pytest.mark.parametrize(
    "rest",
    [
        "S: 220 go\n@delay 0.1\nS: 250 plain text\n@close any",
        "S: 220 go\n@silence",
        "S: 220 go\n@delay 0.05\n@alert\n@close any",
        "S: 220 go\n@rst",
        "S: 220 go\n@drop",
    ],
)
async def test_u17_the_handshake_goes_wrong(office, tmp_path, rest):
    office.timeouts = replace(office.timeouts, tls=0.4)
    async with (
        ScriptedServer(STARTED + rest) as server,
        facing(office, server, connect=STARTTLS, network=trusting(tmp_path)) as fault,
    ):
        assert await fault.end() == waits(FAILED)
        assert await fault.health() == ("throttled", FAILED, "", 60.0)
    assert said_no_secret(server.heard)


# U18

CERTIFICATES = {
    "expired": (
        lambda: the_authority().expired("127.0.0.1"),
        "The server's certificate has expired; its provider has to renew it.",
    ),
    "not_yet_valid": (
        lambda: the_authority().not_yet_valid("127.0.0.1"),
        "The server's certificate is not valid yet; its provider, or this machine's clock, has to be put right.",
    ),
    "wrong_name": (
        lambda: the_authority().certificate("other.example.org"),
        "The server's certificate is for another name.",
    ),
    "self_signed": (self_signed, UNVOUCHED),
    "unknown_authority": (lambda: Authority().certificate("127.0.0.1"), UNVOUCHED),
    "weak_key": (lambda: self_signed(weak=True), "The server's certificate cannot be trusted."),
}


@pytest.mark.parametrize(
    ("encryption", "kind"),
    [*(("ssl", kind) for kind in CERTIFICATES), ("starttls", "expired"), ("starttls", "self_signed")],
)
async def test_u18_a_certificate_is_refused_with_its_facts_and_pinning_it_cures(
    office, tmp_path, kind, encryption
):
    make, text = CERTIFICATES[kind]
    certificate = make()
    async with (
        signing_in(encryption=encryption, certificate=certificate) as sink,
        facing(
            office, sink, connect={**SIGNED_IN, "encryption": encryption}, network=trusting(tmp_path)
        ) as fault,
    ):
        assert await fault.end() == waits(text)
        assert await fault.health() == ("throttled", text, "", 60.0)
        facts = (await office.delivery(fault.message)).trouble["facts"]
        assert facts["fingerprint"] == certificate.fingerprint
        assert facts["names"]
        assert facts["issuer"]
        assert facts["expired_at"].endswith("+00:00")
        assert said_no_secret(sink.heard)
        if kind != "weak_key":  # which no pin makes strong
            pinned = {"pinned_certificate": certificate.fingerprint, "password": PASSWORD}
            await office.ask(connections.edit, str(fault.connection.uid), pinned, "test", office.clock())
            await fault.accepted()
            assert await fault.health() == READY
    assert everybody(sink) == ([] if kind == "weak_key" else ["to@example.com"])


async def test_u18_another_certificate_than_the_pinned_one(office, tmp_path):
    text = "The server shows another certificate than the pinned one."
    pinned = {**SIGNED_IN, "encryption": "ssl", "pinned_certificate": "ab" * 32}
    async with (
        signing_in(encryption="ssl") as sink,
        facing(office, sink, connect=pinned, network=trusting(tmp_path)) as fault,
    ):
        assert await fault.end() == waits(text)
        assert await fault.health() == ("throttled", text, "", 60.0)
    assert said_no_secret(sink.heard)
    assert sink.commands == []


async def test_u18_tls_1_0_is_too_old(office, tmp_path):
    text = "The server only knows encryption that is out of date, below TLS 1.2."
    async with (
        ScriptedServer(r"@read 5" + "\n" + r"S- \x15\x03\x01\x00\x02\x02\x46" + "\n@close any") as server,
        facing(
            office, server, connect={**SIGNED_IN, "encryption": "ssl"}, network=trusting(tmp_path)
        ) as fault,
    ):
        assert await fault.end() == waits(text)
        assert await fault.health() == ("throttled", text, "", 60.0)


# U19-U20


async def test_u19_what_follows_the_220_in_clear_is_not_read(office, tmp_path):
    script = STARTED + "S- 220 go\\r\\n250-evil\\r\\n250 AUTH PLAIN\\r\\n\n@close"
    async with (
        ScriptedServer(script) as server,
        facing(
            office, server, connect=STARTTLS, network=trusting(tmp_path), unsaid=[PASSWORD, "evil"]
        ) as fault,
    ):
        assert await fault.end() == waits(FAILED)
        assert await fault.health() == ("throttled", FAILED, "", 60.0)
    assert said_no_secret(server.heard)


async def test_u20_only_what_is_announced_after_tls_counts(office, tmp_path):
    """Before TLS a server that chunks and takes five octets; behind it one that takes all, line by line."""
    before = Answer(
        "250-sink.example.org\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-SIZE 5\r\n250-AUTH GSSAPI\r\n250 STARTTLS"
    )
    after = Answer("250-sink.example.org\r\n250-8BITMIME\r\n250 AUTH PLAIN")
    hooks = {"ehlo": lambda moment: after if moment.tls else before}
    async with (
        signing_in(encryption="starttls", hooks=hooks) as sink,
        facing(office, sink, connect=STARTTLS, network=trusting(tmp_path)) as fault,
    ):
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
    (taken,) = sink.accepted
    assert (taken.manner, taken.login, taken.parameters) == ("DATA", LOGIN, ())
