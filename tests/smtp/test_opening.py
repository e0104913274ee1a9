"""U01-U22 of the faults at the level of a session: what goes wrong is named, in time, and nothing is left open."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import socket
import time

import pytest

from scripted.certificates import Authority, self_signed, the_authority, the_certificate
from scripted.client import LOOPBACK, PASSWORD, SHORT, hop_to, lookup_here
from scripted.ports import black_hole
from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.egress import Guard, HostUnknown, LookupFailed
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.question import ask
from vaguemestre.smtp.session import SessionFailed
from vaguemestre.smtp.timeouts import Timeouts

QUICK = Timeouts().at_most(0.3)
GREETED = "S: 220 mx.example.org ESMTP\nC: EHLO client.example.org\n"
PLAIN = base64.b64encode(f"\0app\0{PASSWORD}".encode()).decode()
USER = base64.b64encode(b"app").decode()
WORD = base64.b64encode(PASSWORD.encode()).decode()


async def failure(hop, network, timeouts=SHORT):
    with pytest.raises(SessionFailed) as failed:
        await open_session(hop, network, timeouts)
    assert PASSWORD not in repr(failed.value.transcript) + str(failed.value) + repr(failed.value.trouble)
    return failed.value.trouble


async def failure_of(script, network, encryption=Encryption.NONE, *, timeouts=SHORT, password="", **server):
    async with ScriptedServer(script, **server) as scripted:
        trouble = await failure(hop_to(scripted, encryption, password=password), network, timeouts)
    assert PASSWORD.encode() not in scripted.heard
    return trouble


class Nowhere:
    port = 25


# U01-U04


@pytest.mark.parametrize(
    ("error", "cause"), [(HostUnknown("x"), Cause.HOST_UNKNOWN), (LookupFailed("x"), Cause.LOOKUP_FAILED)]
)
async def test_u01_a_name_that_is_not_found(error, cause):
    async def lookup(host, port):
        raise error

    trouble = await failure(hop_to(Nowhere), Network(LOOPBACK, lookup))
    assert (trouble.phase, trouble.cause) == (Phase.RESOLVE, cause)
    assert trouble.facts == {"host": "localhost", "port": "25"}


async def test_u02_a_lookup_that_hangs_ends_with_its_deadline():
    async def lookup(host, port):
        await asyncio.Event().wait()

    started = time.monotonic()
    trouble = await failure(hop_to(Nowhere), Network(LOOPBACK, lookup), QUICK)
    assert (trouble.phase, trouble.cause) == (Phase.RESOLVE, Cause.TIMEOUT)
    assert time.monotonic() - started < 1


async def test_u03_a_refused_dial(network):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        trouble = await failure(hop_to(Nowhere, port=taken.getsockname()[1]), network)
    assert (trouble.phase, trouble.cause) == (Phase.CONNECT, Cause.CONNECTION_REFUSED)
    assert trouble.facts["addresses"] == "127.0.0.1"


async def test_u04_a_black_hole_ends_with_its_deadline(network):
    with black_hole() as hole:
        started = time.monotonic()
        trouble = await failure(hop_to(Nowhere, port=hole.port), network, QUICK)
    assert (trouble.phase, trouble.cause) == (Phase.CONNECT, Cause.TIMEOUT)
    assert time.monotonic() - started < 1


async def test_each_address_has_its_share_of_the_time(roots):
    async def lookup(host, port):
        return tuple(ipaddress.ip_address(text) for text in ("127.0.0.1", "127.0.0.2"))

    with black_hole() as hole:
        async with ScriptedServer(f"{GREETED}S: 250 mx\nC: QUIT", host="127.0.0.2", port=hole.port) as server:
            session = await open_session(hop_to(server), Network(LOOPBACK, lookup, roots), QUICK)
            assert session.peer == "127.0.0.2"
            await session.quit()


async def test_an_address_that_is_not_permitted_is_not_dialled(roots):
    async with SinkServer() as sink:
        trouble = await failure(hop_to(sink), Network(Guard(ports=LOOPBACK.ports), lookup_here, roots))
    assert (trouble.phase, trouble.cause) == (Phase.RESOLVE, Cause.NOT_PERMITTED)
    assert "127.0.0.1" not in repr(trouble)
    assert sink.sessions == 0


async def test_the_source_address_is_bound(network):
    async with SinkServer() as sink:
        session = await open_session(hop_to(sink, source_address="127.0.0.9"), network, SHORT)
        assert session.seen_address == "127.0.0.9"
        await session.quit()
        for wrong in ("192.0.2.1", "::1"):
            trouble = await failure(hop_to(sink, source_address=wrong), network)
            assert (trouble.phase, trouble.cause) == (Phase.CONNECT, Cause.SOURCE_ADDRESS)
            assert trouble.facts["source_address"] == wrong
        assert sink.sessions == 1
        trouble = await failure(hop_to(sink, source_address="no address"), network)
        assert (trouble.phase, trouble.cause) == (Phase.CONNECT, Cause.UNREACHABLE)


# U05-U11


@pytest.mark.parametrize("end", ["@drop", "@rst"])
async def test_u05_closed_before_the_greeting(network, end):
    trouble = await failure_of(end, network)
    assert (trouble.phase, trouble.cause) == (Phase.GREETING, Cause.LOST)


async def test_u06_a_late_greeting_is_waited_for(network):
    async with ScriptedServer(f"@delay 0.3\n{GREETED}S: 250 mx\nC: QUIT\nS: 221 bye\n@close") as server:
        session = await open_session(hop_to(server), network, SHORT)
        await session.quit()
    (greeted,) = [step for step in session.opening if step.phase is Phase.GREETING]
    assert greeted.elapsed > 0.2


async def test_u06_a_greeting_that_never_comes(network):
    trouble = await failure_of("@silence", network, timeouts=QUICK)
    assert (trouble.phase, trouble.cause) == (Phase.GREETING, Cause.TIMEOUT)


@pytest.mark.parametrize("code", [421, 554])
async def test_u07_u08_a_greeting_that_refuses(network, code):
    script = f"S: {code} 5.3.2 not now\n" + ("@close" if code == 421 else "C: QUIT\nS: 221 bye\n@close")
    trouble = await failure_of(script, network)
    assert (trouble.phase, trouble.cause) == (Phase.GREETING, Cause.REPLY)
    assert trouble.reply is not None
    assert trouble.reply.code == code


@pytest.mark.parametrize(
    "banner",
    [
        r"HTTP/1.1 400 Bad Request secret-banner\r\n",
        r"SSH-2.0-OpenSSH_9.9 secret-banner\r\n",
        r"+OK POP3 secret-banner\r\n",
        r"* OK IMAP secret-banner\r\n",
        r"\x01\x02\x03 secret-banner",
        r"\n",
    ],
)
async def test_u09_another_protocol_is_named_and_its_words_are_not_repeated(network, banner):
    async with ScriptedServer(f"S- {banner}\n@close") as server:
        with pytest.raises(SessionFailed) as failed:
            await open_session(hop_to(server), network, SHORT)
    assert failed.value.trouble.cause is Cause.NOT_SMTP
    assert "secret-banner" not in repr((failed.value.transcript, failed.value.trouble, str(failed.value)))


async def test_u09_a_tls_alert_for_a_greeting_says_that_tls_is_expected(network):
    trouble = await failure_of("@alert\n@close", network)
    assert trouble.cause is Cause.TLS_EXPECTED


async def test_u10_starttls_on_a_port_for_tls_suggests_it(network):
    for script in ("@silence", "@drop"):
        # An address of its own, since the port has to be one of the well-known.
        async with ScriptedServer(script, host="127.0.4.65", port=2465) as server:
            trouble = await failure(hop_to(server, Encryption.STARTTLS, host="127.0.4.65"), network, QUICK)
        assert (trouble.phase, trouble.cause) == (Phase.GREETING, Cause.TLS_EXPECTED)


@pytest.mark.parametrize("pause", ["", "@delay 0.2\n"])
async def test_u10_tls_at_once_on_a_plain_port_says_so(network, pause):
    trouble = await failure_of(f"{pause}S: 220 mx ESMTP\n@close any", network, Encryption.SSL)
    assert (trouble.phase, trouble.cause) == (Phase.TLS, Cause.TLS_NOT_SPOKEN)


async def test_u11_a_greeting_of_several_lines_is_one(network):
    script = r"S- 220-mx\r\n220-no spam\r\n220 ready\r\n"
    async with ScriptedServer(
        f"{script}\nC: EHLO client.example.org\nS: 250 mx\nC: QUIT\nS: 221 x\n@close"
    ) as server:
        session = await open_session(hop_to(server), network, SHORT)
        assert session.transcript[2].reply is not None
        assert session.transcript[2].reply.text == "mx\nno spam\nready"
        await session.quit()


@pytest.mark.parametrize(
    ("script", "cause"),
    [("@endless 220-more", Cause.MALFORMED), ("@drip 0.05\nS: 220 mx.example.org\n@close", Cause.TIMEOUT)],
)
async def test_u11_an_endless_or_dripping_greeting_ends(network, script, cause):
    started = time.monotonic()
    trouble = await failure_of(script, network, timeouts=QUICK)
    assert (trouble.phase, trouble.cause) == (Phase.GREETING, cause)
    assert time.monotonic() - started < 5


# U12-U13


async def test_u12_helo_where_nothing_else_is_needed(network):
    script = f"{GREETED}S: 502 what\nC: HELO client.example.org\nS: 250 mx\nC: QUIT\nS: 221 bye\n@close"
    async with ScriptedServer(script) as server:
        session = await open_session(hop_to(server), network, SHORT)
        await session.quit()
    assert not session.capabilities.keywords


@pytest.mark.parametrize(("encryption", "password"), [(Encryption.STARTTLS, ""), (Encryption.NONE, PASSWORD)])
async def test_u12_no_helo_where_tls_or_auth_is_needed(network, encryption, password):
    script = f"{GREETED}S: 500 what\nC: QUIT\nS: 221 bye\n@close"
    trouble = await failure_of(script, network, encryption, password=password)
    assert (trouble.phase, trouble.cause) == (Phase.EHLO, Cause.REPLY)


@pytest.mark.parametrize(
    ("rest", "cause"),
    [
        ("S: 421 closing\n@close", Cause.REPLY),
        ("@drop", Cause.LOST),
        ("@rst", Cause.LOST),
        ("@drip 0.05\nS: 250 mx.example.org\n@close", Cause.TIMEOUT),
        ("@endless 250-KEYWORD", Cause.MALFORMED),
        ("S- 250 " + "x" * 70_000 + "\n@close", Cause.MALFORMED),
    ],
)
async def test_u13_ehlo_goes_wrong(network, rest, cause):
    trouble = await failure_of(GREETED + rest, network, timeouts=QUICK)
    assert (trouble.phase, trouble.cause) == (Phase.EHLO, cause)


@pytest.mark.parametrize(
    "line", [r"250ok\r\n", r"25 ok\r\n", r"250 ok\n", r"\r\n", r"250-a\r\n550 b\r\n", r"999 x\r\n"]
)
async def test_u14_a_malformed_reply_ends_the_session(network, line):
    trouble = await failure_of(f"{GREETED}S- {line}\n@close", network)
    assert (trouble.phase, trouble.cause) == (Phase.EHLO, Cause.MALFORMED)


# U16-U20


async def test_u16_starttls_is_not_offered(network):
    script = f"{GREETED}S- 250-mx\\r\\n250 AUTH PLAIN\\r\\n\nC: QUIT\nS: 221 bye\n@close"
    trouble = await failure_of(script, network, Encryption.STARTTLS, password=PASSWORD)
    assert (trouble.phase, trouble.cause) == (Phase.STARTTLS, Cause.NOT_OFFERED)
    assert trouble.facts["offered"] == "AUTH"


@pytest.mark.parametrize("code", [454, 502])
async def test_u16_starttls_is_refused(network, code):
    script = (
        f"{GREETED}S- 250-mx\\r\\n250 STARTTLS\\r\\n\nC: STARTTLS\nS: {code} no\nC: QUIT\nS: 221 bye\n@close"
    )
    trouble = await failure_of(script, network, Encryption.STARTTLS, password=PASSWORD)
    assert (trouble.phase, trouble.cause) == (Phase.STARTTLS, Cause.REPLY)


STARTED = f"{GREETED}S- 250-mx\\r\\n250-AUTH PLAIN\\r\\n250 STARTTLS\\r\\n\nC: STARTTLS\n"


@pytest.mark.parametrize(
    ("rest", "cause"),
    [
        ("S: 220 go\n@delay 0.1\nS: 250 plain text\n@close any", Cause.TLS_NOT_SPOKEN),
        ("S: 220 go\n@silence", Cause.TIMEOUT),
        ("S: 220 go\n@delay 0.05\n@alert\n@close any", Cause.TLS_FAILED),
        ("S: 220 go\n@rst", Cause.LOST),
        ("S: 220 go\n@drop", Cause.LOST),
    ],
)
async def test_u17_the_handshake_goes_wrong(network, rest, cause):
    trouble = await failure_of(
        STARTED + rest, network, Encryption.STARTTLS, timeouts=QUICK, password=PASSWORD
    )
    assert (trouble.phase, trouble.cause) == (Phase.STARTTLS, cause)


CERTIFICATES = {
    "expired": (lambda: the_authority().expired(), Cause.CERTIFICATE_EXPIRED),
    "not_yet_valid": (lambda: the_authority().not_yet_valid(), Cause.CERTIFICATE_NOT_YET_VALID),
    "wrong_name": (lambda: the_authority().certificate("other.example.org"), Cause.CERTIFICATE_NAME),
    "self_signed": (self_signed, Cause.CERTIFICATE_SELF_SIGNED),
    "unknown_authority": (lambda: Authority().certificate("localhost"), Cause.CERTIFICATE_AUTHORITY),
    "weak_key": (lambda: self_signed(weak=True), Cause.CERTIFICATE_OTHER),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
@pytest.mark.parametrize("encryption", [Encryption.SSL, Encryption.STARTTLS])
async def test_u18_a_certificate_is_refused_with_its_facts(network, kind, encryption):
    make, cause = CERTIFICATES[kind]
    certificate = make()
    async with SinkServer(
        encryption=str(encryption), certificate=certificate, login="app", password=PASSWORD
    ) as sink:
        trouble = await failure(hop_to(sink, encryption, password=PASSWORD), network)
    phase = Phase.TLS if encryption is Encryption.SSL else Phase.STARTTLS
    assert (trouble.phase, trouble.cause) == (phase, cause)
    assert trouble.facts["fingerprint"] == certificate.fingerprint
    assert trouble.facts["names"] == ("other.example.org" if kind == "wrong_name" else "localhost")
    assert trouble.facts["issuer"]
    assert trouble.facts["expired_at"].endswith("+00:00")
    assert PASSWORD.encode() not in sink.heard
    assert PLAIN.encode() not in sink.heard
    assert {line.split()[0] for _, line in sink.commands} <= {"EHLO", "STARTTLS"}


OLD_HELLO = "".join(
    rf"\x{octet:02x}" for octet in bytes.fromhex("160301002a020000260301" + "00" * 33 + "002f00")
)


@pytest.mark.parametrize("answer", [r"\x15\x03\x01\x00\x02\x02\x46", OLD_HELLO])
async def test_u18_tls_1_0_is_too_old(network, answer):
    trouble = await failure_of(f"@read 5\nS- {answer}\n@close any", network, Encryption.SSL)
    assert (trouble.phase, trouble.cause) == (Phase.TLS, Cause.TLS_TOO_OLD)


async def open_and_quit(hop, network):
    session = await open_session(hop, network, SHORT)
    await session.quit()
    return session


async def test_u18_a_pinned_leaf_replaces_chain_and_name(network):
    certificate = self_signed("other.example.org")
    async with SinkServer(encryption="ssl", certificate=certificate) as sink:
        for pin in (certificate.fingerprint, certificate.fingerprint.upper()):
            await open_and_quit(hop_to(sink, Encryption.SSL, pinned_certificate=pin), network)
        heard = bytes(sink.heard)
        wrong = the_certificate().fingerprint
        trouble = await failure(hop_to(sink, Encryption.SSL, pinned_certificate=wrong), network)
    assert trouble.cause is Cause.CERTIFICATE_OTHER
    assert trouble.facts["fingerprint"] == certificate.fingerprint
    assert trouble.facts["pinned"] == wrong
    assert sink.heard == heard


async def test_u18_a_pinned_authority_replaces_the_chain_but_not_the_name():
    network = Network(LOOPBACK, lookup_here)
    pin = the_authority().pem.decode()
    async with SinkServer(encryption="ssl") as sink:
        assert (await failure(hop_to(sink, Encryption.SSL), network)).cause is Cause.CERTIFICATE_AUTHORITY
        await open_and_quit(hop_to(sink, Encryption.SSL, pinned_certificate=pin), network)
        hop = hop_to(sink, Encryption.SSL, pinned_certificate=pin, host="other.example.org")
        assert (await failure(hop, network)).cause is Cause.CERTIFICATE_NAME
        other = Authority().pem.decode()
        hop = hop_to(sink, Encryption.SSL, pinned_certificate=other)
        assert (await failure(hop, network)).cause is Cause.CERTIFICATE_AUTHORITY
        hop = hop_to(sink, Encryption.SSL, pinned_certificate="-----BEGIN CERTIFICATE-----\nrubbish")
        assert (await failure(hop, network)).cause is Cause.TLS_FAILED


async def test_an_address_literal_is_checked_against_the_certificate(network):
    async with SinkServer(encryption="ssl") as sink:
        await open_and_quit(hop_to(sink, Encryption.SSL, host="127.0.0.1"), network)
        trouble = await failure(hop_to(sink, Encryption.SSL, host="127.0.0.5"), network)
        # The sink listens on 127.0.0.1 alone.
        assert trouble.cause is Cause.CONNECTION_REFUSED
    certificate = the_authority().certificate("localhost")
    async with SinkServer(encryption="ssl", certificate=certificate) as sink:
        trouble = await failure(hop_to(sink, Encryption.SSL, host="127.0.0.1"), network)
    assert trouble.cause is Cause.CERTIFICATE_NAME


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as tried:
        tried.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
async def test_ipv6_is_dialled_like_the_rest(network):
    async with ScriptedServer(
        f"@tls\n{GREETED}S: 250 mx\nC: QUIT\nS: 221 bye\n@close any", host="::1"
    ) as server:
        session = await open_and_quit(hop_to(server, Encryption.SSL, host="::1"), network)
    assert session.peer == "::1"


async def test_u19_what_follows_the_220_in_clear_is_not_read(network):
    script = STARTED + "S- 220 go\\r\\n250-evil\\r\\n250 AUTH PLAIN\\r\\n\n@close"
    trouble = await failure_of(script, network, Encryption.STARTTLS, password=PASSWORD)
    assert (trouble.phase, trouble.cause) == (Phase.STARTTLS, Cause.UNDUE)


async def test_u20_only_what_is_announced_after_tls_counts(network):
    script = f"{GREETED}S- 250-mx\\r\\n250-SIZE 1\\r\\n250-PIPELINING\\r\\n250 STARTTLS\\r\\n\nC: STARTTLS\nS: 220 go\n@tls"
    script += (
        "\nC: EHLO client.example.org\nS- 250-mx\\r\\n250 8BITMIME\\r\\n\nC: QUIT\nS: 221 bye\n@close any"
    )
    async with ScriptedServer(script) as server:
        session = await open_session(hop_to(server, Encryption.STARTTLS), network, SHORT)
        assert session.capabilities.keywords == {"8BITMIME"}
        assert session.capabilities.size is None
        await session.quit()


# U21-U22


def announced(mechanisms):
    return f"{GREETED}S- 250-mx\\r\\n250 AUTH {mechanisms}\\r\\n\n"


BYE = "\nC: QUIT\nS: 221 bye\n@close"


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (f"{GREETED}S: 250 mx{BYE}", Cause.NOT_OFFERED),
        (announced("GSSAPI NTLM") + BYE, Cause.NO_MECHANISM),
        (
            announced("PLAIN") + f"C: AUTH PLAIN {PLAIN}\nS: 334 more\nC: *\nS: 501 cancelled{BYE}",
            Cause.MALFORMED,
        ),
        (announced("PLAIN") + f"C: AUTH PLAIN {PLAIN}\n@drop", Cause.LOST),
        (announced("PLAIN") + f"C: AUTH PLAIN {PLAIN}\nS: 535 5.7.8 no{BYE}", Cause.REPLY),
        (announced("PLAIN LOGIN") + f"C: AUTH PLAIN {PLAIN}\nS: 454 4.7.0 later{BYE}", Cause.REPLY),
        (announced("LOGIN") + f"C: AUTH LOGIN\nS: 334 x\nC: {USER}\nS: 535 no{BYE}", Cause.REPLY),
        (
            announced("LOGIN")
            + f"C: AUTH LOGIN\nS: 334 x\nC: {USER}\nS: 334 y\nC: {WORD}\nS: 334 z\nC: *\nS: 501 off{BYE}",
            Cause.MALFORMED,
        ),
    ],
)
async def test_u21_u22_auth_goes_wrong_after_one_attempt(network, script, cause):
    trouble = await failure_of(script, network, password=PASSWORD)
    assert (trouble.phase, trouble.cause) == (Phase.AUTH, cause)


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        ("VXNlcm5hbWU6", "UGFzc3dvcmQ6", (USER, WORD)),
        ("UGFzc3dvcmQ6", "VXNlcm5hbWU6", (WORD, USER)),
        ("dXNlcg==", "cGFzcw==", (USER, WORD)),
        ("@@@@", "", (USER, WORD)),
        ("UGFzc3dvcmQ6", "UGFzc3dvcmQ6", (WORD, USER)),
    ],
)
async def test_u21_login_bears_with_odd_prompts(network, first, second, answers):
    script = (
        announced("LOGIN")
        + f"C: AUTH LOGIN\nS: 334 {first}\nC: {answers[0]}\nS: 334 {second}\nC: {answers[1]}"
    )
    async with ScriptedServer(f"{script}\nS: 235 in{BYE}") as server:
        session = await open_and_quit(hop_to(server, password=PASSWORD), network)
    assert session.mechanism == "LOGIN"


async def test_u21_235_and_then_the_end_is_noticed(network):
    async with ScriptedServer(announced("PLAIN") + f"C: AUTH PLAIN {PLAIN}\nS: 235 in\n@drop") as server:
        session = await open_session(hop_to(server, password=PASSWORD), network, SHORT)
        with pytest.raises(SessionFailed) as failed:
            await ask(session)
        assert failed.value.trouble.cause is Cause.LOST
        assert not session.reusable


async def test_a_long_secret_waits_for_its_334(network):
    secret = "x" * 600
    blob = base64.b64encode(f"\0app\0{secret}".encode()).decode()
    async with ScriptedServer(
        announced("PLAIN") + f"C: AUTH PLAIN\nS: 334 \nC: {blob}\nS: 235 in{BYE}"
    ) as server:
        session = await open_and_quit(hop_to(server, password=secret), network)
    assert session.mechanism == "PLAIN"


async def test_a_secret_that_the_server_repeats_is_masked(network):
    script = announced("PLAIN") + f"C: AUTH PLAIN {PLAIN}\nS: 535 5.7.8 wrong: {PASSWORD} {PLAIN} {WORD}{BYE}"
    async with ScriptedServer(script) as server:
        with pytest.raises(SessionFailed) as failed:
            await open_session(hop_to(server, password=PASSWORD), network, SHORT)
    told = repr((failed.value.transcript, failed.value.trouble, str(failed.value)))
    assert not any(form in told for form in (PASSWORD, PLAIN, WORD))
    assert "wrong: *** *** ***" in told


async def test_no_secret_in_clear_beyond_loopback(network, monkeypatch):
    monkeypatch.setattr(ipaddress.IPv4Address, "is_loopback", property(lambda _: False))
    async with SinkServer(login="app", password=PASSWORD) as sink:
        trouble = await failure(hop_to(sink, password=PASSWORD), network)
    assert (trouble.phase, trouble.cause) == (Phase.AUTH, Cause.NOT_PERMITTED)
    assert not any(line.startswith("AUTH") for _, line in sink.commands)


# Cancellation, memory, manners


PHASES = ["greeting", "ehlo", "starttls", "auth", "quit"]


@pytest.mark.parametrize("phase", PHASES)
async def test_cancelled_at_any_wait_it_leaves_nothing_open(network, phase):
    hooks = {phase: lambda _: Answer("220 late", delay=30)}
    async with SinkServer(encryption="starttls", login="app", password=PASSWORD, hooks=hooks) as sink:

        async def dialogue():
            hop = hop_to(sink, Encryption.STARTTLS, password=PASSWORD)
            session = await open_session(hop, network, Timeouts())
            await session.quit()

        task = asyncio.create_task(dialogue())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)


async def test_cancelled_within_the_handshake_it_leaves_nothing_open(network):
    async with ScriptedServer("@silence") as server:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(open_session(hop_to(server, Encryption.SSL), network, Timeouts()), 0.1)


async def test_quit_ignores_whatever_happens(network):
    for end in (
        "@drop",
        "@rst",
        "@silence",
        "S: 421 no\n@close",
        "S: rubbish\n@close",
        "S: 500 what\n@close",
    ):
        async with ScriptedServer(f"{GREETED}S: 250 mx\nC: QUIT\n{end}") as server:
            session = await open_session(hop_to(server), network, QUICK)
            await session.quit()
            assert not session.reusable


async def test_the_probe_tells_that_the_sender_is_refused(network):
    script = f"{GREETED}S: 250 mx\nC: MAIL FROM:<sender@example.org>\nS: 553 5.7.1 not yours\nC: QUIT\nS: 221 x\n@close"
    async with ScriptedServer(script) as server:
        session = await open_session(hop_to(server), network, SHORT)
        with pytest.raises(SessionFailed) as failed:
            await ask(session)
        trouble = failed.value.trouble
        assert (trouble.phase, trouble.cause) == (Phase.MAIL, Cause.REPLY)
        assert session.reusable
        await session.quit()
