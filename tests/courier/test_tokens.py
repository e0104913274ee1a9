"""U23 at a session: a token that the server refuses is refreshed once, and never for anything else."""

from __future__ import annotations

import base64

import pytest

from scripted.client import PASSWORD, SENDER, SHORT, hop_to, loopback_network
from scripted.server import ScriptedServer
from vaguemestre.courier.tokens import NoTokens, open_signed_in, token_refused
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.secret import Secret
from vaguemestre.policy.judgement import HealthChange, Why
from vaguemestre.policy.verdict import Case, judge
from vaguemestre.providers.oauth2.grants import Refusal, TokenAway, TokenRefused
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.session import SessionFailed

pytestmark = pytest.mark.any_database

OLD, NEW, LOGIN = "old-token-0123456789", "new-token-0123456789", "office@example.org"
NOWHERE = NextHop("localhost", 1, Encryption.SSL, SENDER, auth=AuthKind.OAUTH2, login=LOGIN)
BYE = "C: QUIT\nS: 221 bye\n@close\n"


def signing_in(token: str, answer: str) -> str:
    """A dialogue in which this token gets that answer, with the JSON of Google before a 535."""
    blob = base64.b64encode(f"user={LOGIN}\1auth=Bearer {token}\1\1".encode()).decode()
    challenge = "S: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC: \n" if answer.startswith("535") else ""
    return (
        "S: 220 mx ESMTP\nC: EHLO client.example.org\nS- 250-mx\\r\\n250 AUTH LOGIN XOAUTH2\\r\\n\n"
        f"C: AUTH XOAUTH2 {blob}\n{challenge}S: {answer}\n{BYE}"
    )


class Source:
    """Gives one token where another was refused, and remembers what was asked."""

    def __init__(self, token: str | None, first: str | None = None) -> None:
        self.token = token
        self.first = first
        self.asked = []

    async def current(self, connection_id, hop):
        self.asked.append((connection_id, "current"))
        return hop.secret if self.first is None else Secret(self.first)

    async def fresh(self, connection_id, hop):
        self.asked.append((connection_id, hop.secret.reveal()))
        if self.token is None:
            raise TokenRefused(Refusal.CONSENT_WITHDRAWN, "revoked")
        return Secret(self.token)


class Away(Source):
    """Has no other for now."""

    async def fresh(self, *_):
        raise TokenAway("timeout")


class Gone(Source):
    """Has none at all, for now or until somebody connects the account."""

    def __init__(self, raised):
        self.raised = raised

    async def current(self, *_):
        raise self.raised


async def sign_in(server, tokens, token=OLD):
    hop = hop_to(server, auth=AuthKind.OAUTH2, login=LOGIN, secret=Secret(token) if token else None)
    return await open_signed_in(7, hop, tokens, loopback_network(), SHORT)


async def opened(script, tokens, token=OLD):
    async with ScriptedServer(script) as server:
        session = await sign_in(server, tokens, token)
        await session.quit()
    return session


async def failure(script, tokens, token=OLD):
    async with ScriptedServer(script) as server:
        with pytest.raises(SessionFailed) as failed:
            await sign_in(server, tokens, token)
    return failed.value.trouble


async def test_u23_a_refused_token_is_refreshed_once_and_the_new_one_kept():
    source = Source(NEW)
    session = await opened(f"{signing_in(OLD, '535 no')}----\n{signing_in(NEW, '235 in')}", source)
    assert source.asked == [(7, "current"), (7, OLD)]
    assert session.hop.secret.reveal() == NEW


async def test_u23_a_second_refusal_is_final():
    source = Source(NEW)
    trouble = await failure(f"{signing_in(OLD, '535 no')}----\n{signing_in(NEW, '535 5.7.8 never')}", source)
    assert (trouble.reply.text, trouble.facts["oauth_status"]) == ("5.7.8 never", "401")
    assert source.asked == [(7, "current"), (7, OLD)]
    assert judge(Case(trouble)).why is Why.TOKEN_REFUSED


async def test_u23_a_consent_that_is_gone_is_told_in_place_of_the_refusal():
    trouble = await failure(signing_in(OLD, "535 5.7.3 no"), Source(None))
    assert (trouble.cause, trouble.reply, trouble.facts["oauth_said"]) == (Cause.NO_TOKEN, None, "revoked")
    judged = judge(Case(trouble))
    assert (judged.row, judged.connection, judged.why) == (8, HealthChange.LOCK, Why.CONSENT_WITHDRAWN)


async def test_without_a_source_no_server_is_dialled_and_the_connection_locks():
    for source, why in (
        (NoTokens(), Why.NOT_CONNECTED),
        (Gone(TokenRefused(Refusal.SCOPE_MISSING)), Why.SCOPE_MISSING),
    ):
        with pytest.raises(SessionFailed) as failed:
            await open_signed_in(7, NOWHERE, source, loopback_network(), SHORT)
        judged = judge(Case(failed.value.trouble))
        assert (judged.row, judged.connection, judged.why) == (8, HealthChange.LOCK, why)


async def test_u23_a_source_that_is_away_is_no_refusal():
    trouble = await failure(signing_in(OLD, "535 5.7.3 no"), Away(NEW))
    assert (trouble.phase, trouble.cause, trouble.reply) == (Phase.AUTH, Cause.TIMEOUT, None)
    assert judge(Case(trouble)).row == 7
    with pytest.raises(SessionFailed) as failed:
        await open_signed_in(7, NOWHERE, Gone(TokenAway("timeout")), loopback_network(), SHORT)
    judged = judge(Case(failed.value.trouble))
    assert (judged.row, judged.connection, judged.why) == (7, HealthChange.THROTTLE, Why.TOKEN_UNAVAILABLE)


async def test_a_connection_asks_for_its_token_before_it_dials():
    source = Source(None, first=NEW)
    session = await opened(signing_in(NEW, "235 in"), source, token="")
    assert source.asked == [(7, "current")]
    assert session.hop.secret.reveal() == NEW


async def test_a_token_is_not_refreshed_for_what_passes():
    source = Source(NEW)
    assert (await failure(signing_in(OLD, "454 4.7.0 later"), source)).reply.code == 454
    assert source.asked == [(7, "current")]


async def test_a_password_is_never_refreshed():
    blob = base64.b64encode(f"\0app\0{PASSWORD}".encode()).decode()
    script = (
        "S: 220 mx ESMTP\nC: EHLO client.example.org\nS- 250-mx\\r\\n250 AUTH PLAIN\\r\\n\n"
        f"C: AUTH PLAIN {blob}\nS: 535 no\n{BYE}"
    )
    source = Source(NEW)
    async with ScriptedServer(script) as server:
        with pytest.raises(SessionFailed):
            await open_signed_in(7, hop_to(server, password=PASSWORD), source, loopback_network(), SHORT)
    assert source.asked == []


@pytest.mark.parametrize(
    ("phase", "line", "refused"),
    [
        (Phase.AUTH, "535 5.7.8 Bad credentials", True),
        (Phase.AUTH, "535 5.7.3 Authentication unsuccessful", True),
        (Phase.AUTH, "530 5.7.0 Authentication required", True),
        (Phase.AUTH, "454 4.7.0 later", False),
        (Phase.AUTH, "535 5.7.1 Your IP 192.0.2.1 is not authorized", False),
        (Phase.AUTH, "538 5.7.11 must issue a STARTTLS command first", False),
        (Phase.AUTH, "535 5.7.1 Too many login attempts", False),
        (Phase.MAIL, "530 5.7.0 Authentication required", False),
    ],
)
def test_only_a_refusal_of_who_signs_in_is_cured_by_another_token(phase, line, refused):
    trouble = Trouble(phase, Cause.REPLY, Reply(int(line[:3]), line[4:]))
    assert token_refused(trouble) is refused
    assert not token_refused(Trouble(phase, Cause.TIMEOUT))
