"""U21-U23: signing in, in all ways it goes wrong: one try a session, no mail refused, no secret anywhere."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from upstream_fault import (
    ACCEPTED,
    LOGIN,
    PASSWORD,
    PLAIN,
    READY,
    SIGNED_IN,
    USER,
    WORD,
    everybody,
    facing,
    locked,
    retry,
    waits,
)

from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections, vault
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.grants import Refusal, TokenAway, TokenRefused

pytestmark = pytest.mark.any_database

REFUSED = "The server refused the login or the password. The connection is locked."
NOT_NOW = "The server could not check the login for now."
NOT_OFFERED = (
    "The server takes no login on this port. The connection is locked; choose TLS or SSL, or leave login and"
    " password empty."
)
NO_MECHANISM = "The server takes logins only in ways that Vaguemestre does not use. The connection is locked."
IN_CLEAR = "A password may only travel encrypted: choose TLS or SSL. The connection is locked."
APP_PASSWORD = "Google wants an app password in place of the usual one. The connection is locked."
SWITCHED_OFF = "Signing in with a password is switched off for this mailbox. The connection is locked."
LIMIT = "The account reached a limit of its server; it goes on later."
OTHER = f"{PASSWORD}-another"
BROKEN = "The dialogue with the server broke before the message was handed over."


def greeted(*lines):
    said = "\\r\\n".join(["250-mx", *(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
    return f"S: 220 mx.example.org ESMTP\nC~ EHLO \\S+\nS- {said}\\r\\n\n"


BYE = "C: QUIT\nS: 221 bye\n@close"
MAIL = "C: MAIL FROM:<office@example.org>\n"
CARRIED = (
    f"{MAIL}S: 250 ok\nC: RCPT TO:<to@example.com>\nS: 250 ok\nC: DATA\nS: 354 go\n@content\nS: 250 taken\n"
)


# U21


@pytest.mark.parametrize(
    ("mechanisms", "text"), [("", NOT_OFFERED), ("GSSAPI NTLM", NO_MECHANISM), ("CRAM-MD5", NO_MECHANISM)]
)
async def test_u21_no_way_to_sign_in_locks_the_connection(office, mechanisms, text):
    login = {"login": LOGIN, "mechanisms": mechanisms} if mechanisms else {}
    async with SinkServer(**login) as sink, facing(office, sink, connect=SIGNED_IN) as fault:
        assert await fault.end() == locked(text)
        assert await fault.health() == ("locked", text, "", None)
        another = await fault.post("another@example.com")
        assert sink.sessions == 1
        # A person mends it: this server asks for no login.
        await office.ask(
            connections.edit,
            str(fault.connection.uid),
            {"login": "", "clear_password": True},
            "test",
            office.clock(),
        )
        await fault.accepted()
        await fault.accepted(another)
    assert not any(line.startswith("AUTH") for _, line in sink.commands)


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        ("VXNlcm5hbWU6", "UGFzc3dvcmQ6", (USER, WORD)),
        ("UGFzc3dvcmQ6", "VXNlcm5hbWU6", (WORD, USER)),
        ("dXNlcg==", "cGFzcw==", (USER, WORD)),
        ("@@@@", "", (USER, WORD)),
    ],
)
async def test_u21_login_bears_with_odd_prompts(office, first, second, answers):
    script = (
        f"{greeted('AUTH LOGIN')}C: AUTH LOGIN\nS: 334 {first}\nC: {answers[0]}\nS: 334 {second}\n"
        f"C: {answers[1]}\nS: 235 in\n{CARRIED}{BYE}"
    )
    async with ScriptedServer(script) as server, facing(office, server, connect=SIGNED_IN) as fault:
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
    assert len(server.contents) == 1


@pytest.mark.parametrize(
    ("dialogue", "said"),
    [
        (f"C: AUTH PLAIN {PLAIN}\nS: 334 more\nC: *\nS: 501 cancelled\n{BYE}", "334 more"),
        (f"C: AUTH PLAIN {PLAIN}\nS: 334 more\nC: *\nS: 334 more\n{BYE}", "334 more"),
        (f"C: AUTH PLAIN {PLAIN}\n@drop", ""),
        (f"C: AUTH PLAIN {PLAIN}\nS: 235ok\n@close", ""),
        (f"C: AUTH PLAIN {PLAIN}\n@silence", ""),
    ],
)
async def test_u21_an_exchange_without_an_answer_is_tried_later(office, dialogue, said):
    office.timeouts = replace(office.timeouts, auth=0.4)
    script = greeted("AUTH PLAIN") + dialogue
    async with ScriptedServer(script) as server, facing(office, server, connect=SIGNED_IN) as fault:
        assert await fault.end() == waits(NOT_NOW)
        assert await fault.health() == ("throttled", NOT_NOW, said, 60.0)
    assert bytes(server.heard).count(b"AUTH") == 1


async def test_u21_235_and_then_the_end_is_a_broken_dialogue(office):
    script = f"{greeted('AUTH PLAIN')}C: AUTH PLAIN {PLAIN}\nS: 235 in\n@drop"
    async with ScriptedServer(script) as server, facing(office, server, connect=SIGNED_IN) as fault:
        assert await fault.end() == retry(BROKEN)
        assert await fault.health() == READY
        assert await fault.broken_running() == 1
    assert server.connections == 1


# U22


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("535 5.7.8 bad credentials", REFUSED),
        ("534 5.7.9 Application-specific password required", APP_PASSWORD),
        ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled", SWITCHED_OFF),
        ("538 5.7.11 encryption required for this mechanism", IN_CLEAR),
        ("534 5.7.14 log in through your web browser", APP_PASSWORD),
        ("535 5.7.8 Error: authentication failed", REFUSED),
    ],
)
async def test_u22_a_refused_login_locks_until_there_is_another_and_refuses_no_mail(office, reply, text):
    refusing = [True]
    hooks = {"auth": lambda _: Answer(reply) if refusing else None}
    async with (
        SinkServer(login=LOGIN, password=OTHER, require_auth=True, hooks=hooks) as sink,
        facing(office, sink, connect=SIGNED_IN) as fault,
    ):
        assert await fault.end() == locked(text)
        assert await fault.health() == ("locked", text, reply, None)
        assert await fault.said() == reply
        second = await fault.post("second@example.com")
        # Not after a day either, and not with another limit: there was one try.
        await fault.later(days=1)
        await office.ask(
            connections.edit,
            str(fault.connection.uid),
            {"limits": {"max_sessions": 2}},
            "test",
            office.clock(),
        )
        await fault.unharmed()
        assert (await fault.health())[0] == "locked"
        assert sum(line.startswith("AUTH") for _, line in sink.commands) == 1
        refusing.clear()
        typed = {"password": OTHER}
        await office.ask(connections.edit, str(fault.connection.uid), typed, "test", office.clock())
        await fault.accepted()
        await fault.accepted(second)
        assert await fault.health() == READY
    assert everybody(sink) == ["second@example.com", "to@example.com"]


@pytest.mark.parametrize(
    ("reply", "text", "wait"),
    [
        ("454 4.7.0 Temporary authentication failure", NOT_NOW, 60.0),
        ("454 4.7.0 Temporary failure, try again in 5 minutes", NOT_NOW, 300.0),
        ("454 4.7.0 Too many login attempts, please try again later", LIMIT, 900.0),
        ("535 5.7.0 Too many login attempts, try again in 60 seconds", LIMIT, 900.0),
        ("454 4.7.0 Too many login attempts, try again in 2 hours", LIMIT, 7200.0),
        (
            "421 4.7.0 Too many concurrent sessions",
            "The server is closing its service for now.",
            60.0,
        ),
    ],
)
async def test_u22_a_login_that_cannot_be_checked_now_is_tried_when_the_server_says(
    office, reply, text, wait
):
    hooks = {"auth": lambda moment: Answer(reply) if moment.session == 1 else None}
    async with (
        SinkServer(login=LOGIN, password=PASSWORD, require_auth=True, hooks=hooks) as sink,
        facing(office, sink, connect=SIGNED_IN) as fault,
    ):
        assert await fault.end() == waits(text, wait)
        assert await fault.health() == ("throttled", text, reply, wait)
        assert sum(line.startswith("AUTH") for _, line in sink.commands) == 1
        await fault.later(seconds=wait + 1)
        await fault.accepted()
        assert await fault.health() == READY
    assert everybody(sink) == ["to@example.com"]


async def test_u22_a_password_that_the_server_repeats_is_masked(office):
    reply = f"535 5.7.8 wrong: {PASSWORD} {PLAIN} {WORD}"
    async with (
        SinkServer(login=LOGIN, password=PASSWORD, hooks={"auth": lambda _: Answer(reply)}) as sink,
        facing(office, sink, connect=SIGNED_IN) as fault,
    ):
        assert await fault.end() == locked(REFUSED)
        assert await fault.said() == "535 5.7.8 wrong: *** *** ***"
        assert (await fault.health())[2] == "535 5.7.8 wrong: *** *** ***"


# U23

OLD, NEW = "old-token-0123456789", "new-token-0123456789"
REFUSED_TOKEN = (
    "The server refuses the account's authorisation. The connection is locked; connect the account anew."
)
WITHDRAWN = (
    "The consent for this account (OAuth2) is no longer valid. The connection is locked; connect it again."
)
NO_TOKEN = "No access token can be had for now; the provider's service for them does not answer."
TOKENS = [
    form
    for token in (OLD, NEW)
    for form in (token, base64.b64encode(f"user={LOGIN}\1auth=Bearer {token}\1\1".encode()).decode())
]


class Source:
    """Has the old token at hand, gives one for it, or raises; remembers which were refused."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    async def current(self, _, hop):
        return hop.secret or Secret(OLD)

    async def fresh(self, _, hop):
        self.asked.append(hop.secret.reveal())
        if isinstance(self.answer, Exception):
            raise self.answer
        return Secret(self.answer)


def bearing(token, answer):
    blob = base64.b64encode(f"user={LOGIN}\1auth=Bearer {token}\1\1".encode()).decode()
    challenge = "S: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC: \n" if answer.startswith("535") else ""
    return f"{greeted('AUTH LOGIN XOAUTH2')}C: AUTH XOAUTH2 {blob}\n{challenge}S: {answer}\n"


def with_token(connection):
    """The connection signs in with tokens."""
    with writing():
        Connection.objects.filter(pk=connection.pk).update(auth="oauth2", version=2)
        vault.destroy(connection)


async def bearer(office, fault):
    """Make the connection one that signs in with a token, and post through it."""
    await office.ask(with_token, fault.connection)
    fault.message = await fault.post()


async def test_u23_a_token_that_ran_out_is_refreshed_once_and_kept(office):
    source = Source(NEW)
    again = f"{MAIL}S: 250 ok\nC: RCPT TO:<next@example.com>\nS: 250 ok\nC: DATA\nS: 354 go\n@content\nS: 250 taken\n"
    script = f"{bearing(OLD, '535 5.7.8 expired')}{BYE}\n----\n{bearing(NEW, '235 in')}{CARRIED}{again}{BYE}"
    async with (
        ScriptedServer(script) as server,
        facing(office, server, None, connect=SIGNED_IN, engine={"tokens": source}, unsaid=TOKENS) as fault,
    ):
        await bearer(office, fault)
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
        await fault.accepted(await fault.post("next@example.com"))
    assert source.asked == [OLD]
    assert len(server.contents) == 2


async def test_u23_a_token_that_stays_refused_locks_until_the_account_is_connected_anew(office):
    source = Source(NEW)
    tries = [bearing(token, "535 5.7.8 expired") + BYE for token in (OLD, NEW)]
    async with (
        ScriptedServer("\n----\n".join(tries)) as server,
        facing(office, server, None, connect=SIGNED_IN, engine={"tokens": source}, unsaid=TOKENS) as fault,
    ):
        await bearer(office, fault)
        assert await fault.end() == locked(REFUSED_TOKEN)
        assert await fault.health() == ("locked", REFUSED_TOKEN, "535 5.7.8 expired", None)
        assert (await office.delivery(fault.message)).trouble["facts"]["oauth_status"] == "401"
    assert source.asked == [OLD]


async def test_u23_a_consent_that_is_withdrawn_locks_and_says_to_connect_again(office):
    source = Source(TokenRefused(Refusal.CONSENT_WITHDRAWN, "AADSTS50173"))
    async with (
        ScriptedServer(bearing(OLD, "535 5.7.8 expired") + BYE) as server,
        facing(office, server, None, connect=SIGNED_IN, engine={"tokens": source}, unsaid=TOKENS) as fault,
    ):
        await bearer(office, fault)
        assert await fault.end() == locked(WITHDRAWN)
        assert (await fault.health())[:2] == ("locked", WITHDRAWN)
        assert (await office.delivery(fault.message)).trouble["facts"]["oauth_said"] == "AADSTS50173"
    assert source.asked == [OLD]


async def test_u23_a_source_of_tokens_that_is_away_only_makes_mail_wait(office):
    source = Source(TokenAway("timeout"))
    script = (
        f"{bearing(OLD, '535 5.7.8 expired')}{BYE}\n----\n{bearing(OLD, '535 5.7.8 expired')}{BYE}\n----\n"
    )
    script += f"{bearing(NEW, '235 in')}{CARRIED}{BYE}"
    async with (
        ScriptedServer(script) as server,
        facing(office, server, None, connect=SIGNED_IN, engine={"tokens": source}, unsaid=TOKENS) as fault,
    ):
        await bearer(office, fault)
        assert await fault.end() == waits(NO_TOKEN)
        assert await fault.health() == ("throttled", NO_TOKEN, "", 60.0)
        source.answer = NEW
        await fault.later(seconds=61)
        await fault.accepted()
        assert await fault.health() == READY
    assert len(server.contents) == 1
