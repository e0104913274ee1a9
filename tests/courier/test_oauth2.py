"""Mail that leaves with access tokens: a real token endpoint, a server that takes its tokens alone, and a clock."""

import contextlib

import pytest
from django.utils import translation

from scripted.authorization import CLIENT, CLIENT_SECRET, AuthorizationServer
from scripted.client import LOOPBACK
from scripted.sink import SinkServer
from vaguemestre.http_transport import HttpTransport
from vaguemestre.ledger import connections
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.wording import health_text
from vaguemestre.token_source import TokenSource

pytestmark = pytest.mark.any_database
MAILBOX = "office@example.org"


@contextlib.asynccontextmanager
async def world(office, **server):
    """An office whose only connection signs in with what a person's consent brings, and its two servers."""
    with AuthorizationServer(**server).serving() as tokens:
        tokens.refresh_tokens.append("the-first")
        async with SinkServer(
            login=MAILBOX, mechanisms="XOAUTH2", tokens=tokens.tokens, require_auth=True
        ) as sink:
            account = {
                "provider": "generic", "grant": "authorization_code", "client_id": CLIENT,
                "client_secret": CLIENT_SECRET, "refresh_token": "the-first", "token_endpoint": tokens.token_endpoint,
                "authorization_endpoint": tokens.authorization_endpoint, "scope": "mail.send",
            }  # fmt: skip
            made = await office.connect(sink, auth="oauth2", login=MAILBOX, oauth2=account)
            threads = office.ledger_threads()
            source = TokenSource(HttpTransport(LOOPBACK), threads, office.clock)
            async with office.courier(threads=threads, tokens=source) as worker:
                yield made, tokens, sink, worker


async def health(office, made):
    row = await office.ask(Connection.objects.get, pk=made.pk)
    return row.health, row.health_why


async def test_mail_leaves_with_a_token_that_is_asked_for_once_and_renewed_ahead_of_its_end(office):
    async with world(office) as (_, tokens, sink, worker):
        for _ in range(3):
            await office.until(await office.post(), "accepted")
        assert (len(tokens.asked), sink.sessions) == (1, 1)
        for minutes, asked in ((54, 1), (2, 2)):  # 54 minutes, then 56
            office.clock.advance(minutes=minutes)
            for session in worker.engine.pool.empty():
                await session.quit()
            await office.until(await office.post(), "accepted")
            assert len(tokens.asked) == asked
        assert sink.faults == []
        assert tokens.asked[1]["refresh_token"] != "the-first"


async def test_a_withdrawn_consent_locks_and_says_to_connect_again_which_unlocks(office):
    async with world(office, withdrawn=True) as (made, tokens, sink, _):
        message = await office.post()
        await office.until_true(lambda: Connection.objects.get(pk=made.pk).health == "locked")
        assert await health(office, made) == ("locked", "consent_withdrawn")
        with translation.override("en"):
            assert health_text("consent_withdrawn").endswith("The connection is locked; connect it again.")
        assert (sink.sessions, len(tokens.asked)) == (0, 1)
        assert (await office.delivery(message)).state == "queued"  # it waits, and at no cost of its own
        tokens.withdrawn = False
        tokens.refresh_tokens.append("a-new-consent")
        again = {"oauth2": {"refresh_token": "a-new-consent"}}
        await office.ask(connections.edit, str(made.uid), again, "test", office.clock())
        await office.until(message, "accepted")
        assert await health(office, made) == ("ready", "")


async def test_a_token_endpoint_that_is_away_makes_mail_wait_and_locks_nothing(office):
    async with world(office, away=True) as (made, tokens, sink, _):
        message = await office.post()
        await office.until_true(lambda: Connection.objects.get(pk=made.pk).health == "throttled")
        assert await health(office, made) == ("throttled", "token_unavailable")
        assert sink.sessions == 0
        tokens.away = False
        office.clock.advance(seconds=61)
        await office.until(message, "accepted")


async def test_u23_a_token_that_was_revoked_early_is_renewed_once_and_mail_leaves(office):
    async with world(office) as (_, tokens, sink, worker):
        await office.until(await office.post(), "accepted")
        tokens.tokens.clear()
        for session in worker.engine.pool.empty():
            await session.quit()
        await office.until(await office.post(), "accepted")
        assert len(tokens.asked) == 2
        assert len(sink.accepted) == 2
