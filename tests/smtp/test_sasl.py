"""Signing in with a token of OAuth 2.0: the words of RFC 7628 and of Google and Microsoft, and U23."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from scripted.client import SENDER, SHORT, hop_to
from scripted.server import ScriptedServer
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp import sasl
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.masking import Mask
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import SessionFailed

TOKEN = "ya29.kanarienvogel-7Q_vF9dft4qmTc2Nvb3R"
LOGIN = "office@example.org"
REASON = {"status": "401", "schemes": "bearer mac", "scope": "https://mail.google.com/"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CHALLENGE = encoded(json.dumps(REASON))
XOAUTH2 = encoded(f"user={LOGIN}\1auth=Bearer {TOKEN}\1\1")


def bearer_of(port) -> str:
    return encoded(f"n,a={LOGIN},\1host=localhost\1port={port}\1auth=Bearer {TOKEN}\1\1")


def hop_with(token=TOKEN, login=LOGIN, **fields) -> NextHop:
    values = {"host": "server.example.com", "port": 143, "encryption": Encryption.SSL, "sender": SENDER}
    values |= {"auth": AuthKind.OAUTH2, "login": login, "secret": Secret(token)}
    return NextHop(**(values | fields))


def to(server, token=TOKEN):
    return hop_to(server, auth=AuthKind.OAUTH2, login=LOGIN, secret=Secret(token))


def greeted(mechanisms: str) -> str:
    return (
        "S: 220 mx.example.org ESMTP\nC: EHLO client.example.org\n"
        f"S- 250-mx\\r\\n250 AUTH {mechanisms}\\r\\n\n"
    )


BYE = "\nC: QUIT\nS: 221 bye\n@close"


def test_xoauth2_says_what_google_documents():
    # developers.google.com, XOAUTH2 protocol, "Initial client response"
    hop = hop_with("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", "someuser@example.com")
    mechanism = sasl.choose(("XOAUTH2",), hop)
    assert mechanism.initial == (
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52"
        "YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )


def test_oauthbearer_says_what_rfc_7628_shows():
    # RFC 7628 §4.1
    hop = hop_with("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "user@example.com")
    mechanism = sasl.choose(("OAUTHBEARER",), hop)
    assert mechanism.initial == (
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1"
        "dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )


def test_a_comma_and_an_equals_sign_of_a_login_move_no_border():
    mechanism = sasl.choose(("OAUTHBEARER",), hop_with(login="a,b=c@example.org"))
    assert base64.b64decode(mechanism.initial).startswith(b"n,a=a=2Cb=3Dc@example.org,\1host=")


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        (("LOGIN", "XOAUTH2"), "XOAUTH2"),  # Microsoft 365
        (("LOGIN", "PLAIN", "XOAUTH2", "PLAIN-CLIENTTOKEN", "OAUTHBEARER", "XOAUTH"), "OAUTHBEARER"),  # Gmail
        (("PLAIN", "LOGIN"), None),
        ((), None),
    ],
)
def test_a_token_goes_by_the_standard_before_its_forerunner_and_never_as_a_password(offered, name):
    mechanism = sasl.choose(offered, hop_with())
    assert (None if mechanism is None else mechanism.name) == name


@pytest.mark.parametrize("token", ["", "a b", "a\1auth=Bearer b", "a\r\nRSET", "é", "=="])
def test_what_is_no_token_is_not_written(token):
    assert sasl.choose(("OAUTHBEARER", "XOAUTH2"), hop_with(token)) is None


def test_a_login_with_a_control_character_is_not_written_beside_a_token():
    assert sasl.choose(("XOAUTH2",), hop_with(login="a\1b")) is None


def test_a_password_is_never_sent_as_a_token():
    hop = hop_with(auth=AuthKind.PASSWORD)
    assert sasl.choose(("OAUTHBEARER", "XOAUTH2"), hop) is None
    assert sasl.choose(("XOAUTH2", "PLAIN"), replace(hop, auth=AuthKind.NONE)) is None


async def refused(script: str, network, **server) -> SessionFailed:
    async with ScriptedServer(script, **server) as scripted:
        with pytest.raises(SessionFailed) as failed:
            await open_session(to(scripted), network, SHORT)
    told = repr((failed.value.transcript, failed.value.trouble)) + str(failed.value)
    assert TOKEN not in told
    assert Mask(LOGIN, Secret(TOKEN), "***")((told.encode(),)) == (told.encode(),)
    return failed.value


async def test_u23_xoauth2_answers_the_json_with_an_empty_line_and_the_535_decides(network):
    script = f"{greeted('LOGIN XOAUTH2')}C: AUTH XOAUTH2 {XOAUTH2}\nS: 334 {CHALLENGE}\nC: \n"
    failed = await refused(f"{script}S: 535 5.7.3 Authentication unsuccessful{BYE}", network)
    trouble = failed.trouble
    assert (trouble.phase, trouble.cause, trouble.reply.code) == (Phase.AUTH, Cause.REPLY, 535)
    told = {key: text for key, text in trouble.facts.items() if key.startswith("oauth_")}
    assert told == {
        "oauth_status": "401",
        "oauth_schemes": "bearer mac",
        "oauth_scope": "https://mail.google.com/",
    }
    assert [step.sent for step in failed.transcript if step.phase is Phase.AUTH] == [
        "AUTH XOAUTH2 ***",
        "(empty)",
    ]
    assert failed.transcript[-1].detail == "status 401, scope https://mail.google.com/, schemes bearer mac"


async def test_u23_oauthbearer_answers_the_json_with_a_control_a(network):
    async with ScriptedServer("@drop") as free:
        port = free.port
        with pytest.raises(SessionFailed):
            await open_session(to(free), network, SHORT)
    script = f"{greeted('OAUTHBEARER')}C: AUTH OAUTHBEARER {bearer_of(port)}\nS: 334 {CHALLENGE}\nC: AQ==\n"
    failed = await refused(f"{script}S: 535 5.7.8 no{BYE}", network, port=port)
    assert (failed.trouble.reply.code, failed.trouble.facts["oauth_status"]) == (535, "401")


async def test_u23_a_token_that_is_taken_signs_in(network):
    script = f"{greeted('XOAUTH2')}C: AUTH XOAUTH2 {XOAUTH2}\nS: 235 2.7.0 Accepted{BYE}"
    async with ScriptedServer(script) as server:
        session = await open_session(to(server), network, SHORT)
        assert session.mechanism == "XOAUTH2"
        await session.quit()


async def test_a_long_token_waits_for_its_334_and_is_asked_no_more(network):
    token = "x" * 2000
    blob = encoded(f"user={LOGIN}\1auth=Bearer {token}\1\1")
    script = f"{greeted('XOAUTH2')}C: AUTH XOAUTH2\nS: 334 \nC: {blob}\nS: 334 {CHALLENGE}\nC: \n"
    async with ScriptedServer(f"{script}S: 535 5.7.3 no{BYE}") as server:
        with pytest.raises(SessionFailed) as failed:
            await open_session(to(server, token), network, SHORT)
    assert failed.value.trouble.facts["oauth_status"] == "401"
    assert "xxxx" not in repr(failed.value.transcript)


async def test_u21_a_second_challenge_is_cancelled(network):
    script = f"{greeted('XOAUTH2')}C: AUTH XOAUTH2 {XOAUTH2}\nS: 334 {CHALLENGE}\nC: \nS: 334 more\nC: *\n"
    failed = await refused(f"{script}S: 501 cancelled{BYE}", network)
    assert failed.trouble.cause is Cause.MALFORMED


@pytest.mark.parametrize(
    "challenge",
    ["", "@@@@", encoded("no json"), encoded("[1]"), encoded("{}"), encoded("[" * 5000), encoded("9" * 5000)],
)
async def test_a_reason_that_cannot_be_read_tells_nothing(network, challenge):
    script = f"{greeted('XOAUTH2')}C: AUTH XOAUTH2 {XOAUTH2}\nS: 334 {challenge}\nC: \nS: 535 no{BYE}"
    failed = await refused(script, network)
    assert (failed.trouble.cause, failed.trouble.reply.code) == (Cause.REPLY, 535)
    assert not any(key.startswith("oauth_") for key in failed.trouble.facts)


async def test_a_reason_is_made_safe_and_short(network):
    told = encoded(json.dumps({"status": 400, "scope": "\x1b[31m" + "é" * 500}))
    script = f"{greeted('XOAUTH2')}C: AUTH XOAUTH2 {XOAUTH2}\nS: 334 {told}\nC: \nS: 535 no{BYE}"
    facts = (await refused(script, network)).trouble.facts
    assert facts["oauth_status"] == "400"
    assert facts["oauth_scope"].startswith("\\x1b[31m")
    assert len(facts["oauth_scope"]) == 200


@pytest.mark.parametrize(
    "echo",
    [TOKEN, XOAUTH2, encoded(json.dumps({"status": TOKEN})), encoded("a" + TOKEN), encoded("ab" + TOKEN)],
)
async def test_a_token_that_the_server_repeats_is_masked_in_whatever_it_is_wrapped(network, echo):
    script = f"{greeted('XOAUTH2')}C: AUTH XOAUTH2 {XOAUTH2}\nS: 334 {echo}\nC: \nS: 535 wrong: {echo}{BYE}"
    assert "***" in str(await refused(script, network))
