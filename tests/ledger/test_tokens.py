"""Access tokens: asked for once by all who need one, ahead of their end, and stored with what rotated."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from ledger.kit import ACTOR, NOW, connect, fresh, later
from scripted.authorization import CLIENT, CLIENT_SECRET, AuthorizationServer
from scripted.client import LOOPBACK
from vaguemestre.http_transport import HttpTransport
from vaguemestre.ledger import connections, lanes, oauth2, tokens, vault
from vaguemestre.ledger.models import Authorization
from vaguemestre.ledger.models import Secret as Stored
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.ledger.tokens import Ask, Held, Wait
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.grants import Refusal, Token, TokenAway, TokenRefused
from vaguemestre.token_source import TokenSource

pytestmark = pytest.mark.django_db
in_threads = pytest.mark.django_db(transaction=True)
HTTP = HttpTransport(LOOPBACK)
HOUR = timedelta(hours=1)


def application(server=None, **values):
    endpoint = "https://login.example.org/token" if server is None else server.token_endpoint
    account = {
        "provider": "generic", "grant": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
        "token_endpoint": endpoint, "scope": "mail.send",
    }  # fmt: skip
    return connect(auth="oauth2", login="office@example.org", oauth2=account | values)


def person(server, refresh_token):
    return application(
        server, grant="authorization_code", authorization_endpoint=server.authorization_endpoint,
        refresh_token=refresh_token,
    )  # fmt: skip


def looked(office, now=NOW, refused=None):
    return tokens.look(office.pk, lanes.hop_of(office.pk), refused, now)


def token(text="a-token", life=HOUR, refresh=None, now=NOW):
    return Token(Secret(text), now + life, "mail.send", None if refresh is None else Secret(refresh))


def with_token(office, **values):
    ask = looked(office)
    assert tokens.settle(ask, token(**values), NOW)
    return ask


def test_the_first_who_looks_asks_and_everybody_else_waits_for_what_that_brings():
    office = application()
    ask = looked(office)
    assert isinstance(ask, Ask)
    assert ask.credentials.secret.reveal() == CLIENT_SECRET
    assert looked(office) == Wait()
    assert tokens.settle(ask, token(), NOW)
    held = looked(office)
    assert (held.access.reveal(), held.scope, held.expires_at) == ("a-token", "mail.send", later(hours=1))


@pytest.mark.parametrize(
    ("life", "minutes", "due"),
    [(60, 54.9, False), (60, 55.1, True), (4, 2.9, False), (4, 3.1, True), (60 * 24, 60 * 24 - 5.1, False)],
)
def test_a_token_is_renewed_five_minutes_ahead_of_its_end_or_in_its_last_quarter(life, minutes, due):
    office = application()
    with_token(office, life=timedelta(minutes=life))
    assert isinstance(looked(office, later(minutes=minutes)), Ask if due else Held)


def test_while_it_is_renewed_ahead_the_token_at_hand_serves_on():
    office = application()
    with_token(office)
    ask = looked(office, later(minutes=56))
    assert ask.meanwhile.access.reveal() == "a-token"
    assert looked(office, later(minutes=56)).access.reveal() == "a-token"
    tokens.give_up(ask)
    assert isinstance(looked(office, later(minutes=56)), Ask)


def test_the_right_to_ask_of_a_process_that_died_is_somebody_elses_after_twenty_seconds():
    office = application()
    dead = looked(office)
    assert looked(office, later(seconds=19)) == Wait()
    assert isinstance(looked(office, later(hours=-1)), Ask)  # a clock that was set back waits for nobody
    dead = looked(office)
    heir = looked(office, later(seconds=21))
    assert tokens.settle(dead, token("too late"), later(seconds=22)) is False
    assert tokens.settle(heir, token("in time"), later(seconds=22))
    assert looked(office).access.reveal() == "in time"


def test_a_token_that_the_server_refused_is_replaced_once_for_all_who_were_refused():
    office = application()
    with_token(office)
    ask = looked(office, refused=Secret("a-token"))
    assert isinstance(ask, Ask)
    assert looked(office, refused=Secret("a-token")) == Wait()
    tokens.settle(ask, token("another"), NOW)
    assert looked(office, refused=Secret("a-token")).access.reveal() == "another"


def test_a_rotated_refresh_token_is_stored_with_its_token_and_the_verification_counts_on():
    with AuthorizationServer().serving() as server:
        office = person(server, "the-first")
    before = fresh(office).fingerprint
    with_token(office, refresh="the-second")
    kept = oauth2.kept_of(fresh(office))
    assert (kept.access.reveal(), kept.credentials.refresh_token.reveal()) == ("a-token", "the-second")
    assert connections.saved_draft(fresh(office)).fingerprint == before


def test_a_token_goes_nowhere_but_to_the_settings_that_are_saved():
    office = application()
    with_token(office)
    stale = lanes.hop_of(office.pk)
    connections.edit(
        str(office.uid), {"host": "mx2.example.org", "oauth2": {"client_secret": CLIENT_SECRET}}, ACTOR, NOW
    )
    assert tokens.look(office.pk, stale, None, NOW) == Wait()
    ask = looked(office)
    assert isinstance(ask, Ask)  # the token for the server before is forgotten
    connections.edit(str(office.uid), {"oauth2": {"client_secret": "another-one"}}, ACTOR, NOW)
    assert tokens.settle(ask, token(), NOW) is False  # asked for with what was replaced meanwhile


def test_l8_a_row_edited_by_hand_opens_no_secret():
    office = application()
    with_token(office)
    for column in ("token_endpoint", "tenant", "client_id", "scope", "issuer"):
        before = getattr(Authorization.objects.get(), column)
        Authorization.objects.update(**{column: "https://evil.example/token"})
        with pytest.raises(vault.Unreadable):
            looked(office)
        Authorization.objects.update(**{column: before})
    assert isinstance(looked(office), Held)


def test_nothing_of_a_secret_or_token_stands_in_any_table_or_journal():
    office = application()
    ask = with_token(office)
    sealed = bytes(Stored.objects.get().sealed)
    shown = repr(
        (
            ask,
            looked(office),
            fresh(office),
            Authorization.objects.values().get(),
            oauth2.kept_of(fresh(office)),
        )
    )
    for secret in (CLIENT_SECRET, "a-token"):
        assert secret.encode() not in sealed
        assert secret not in shown
    assert vault.rotate(NOW) == 1
    assert looked(office).access.reveal() == "a-token"


def test_an_account_that_nobody_set_up_is_told_so_and_a_deleted_one_leaves_nothing():
    office = connect(auth="oauth2", login="office@example.org")
    with pytest.raises(TokenRefused) as refused:
        looked(office)
    assert refused.value.why is Refusal.NOT_CONNECTED
    other = connect("Other", auth="oauth2", login="o@example.org", oauth2={
        "provider": "microsoft", "grant": "client_credentials", "tenant": "example.org", "client_id": "x",
        "client_secret": "a secret",
    })  # fmt: skip
    connections.delete(str(other.uid), ACTOR, NOW)
    assert (Authorization.objects.count(), Stored.objects.count()) == (0, 0)


# Against a real authorization server


def ask_at_once(count, office, **source):
    """What so many couriers are given that ask at one moment, each with threads of its own."""
    hop = lanes.hop_of(office.pk)

    def one(_):
        async def run():
            threads = LedgerThreads(1)
            try:
                return await TokenSource(HTTP, threads, lambda: NOW).held(office.pk, hop, **source)
            finally:
                await asyncio.to_thread(threads.shutdown)

        return asyncio.run(run())

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@in_threads
def test_two_couriers_that_need_a_token_at_once_refresh_once():
    with AuthorizationServer(delay=0.2).serving() as server:
        server.refresh_tokens.append("the-first")
        office = person(server, "the-first")
        first, second = ask_at_once(2, office)
        assert first.access.reveal() == second.access.reveal() == server.tokens[-1]
        assert len(server.asked) == 1
        third, fourth = ask_at_once(2, office, refused=first.access)
        assert third.access.reveal() == fourth.access.reveal() == server.tokens[-1] != first.access.reveal()
        assert [form["grant_type"] for form in server.asked] == ["refresh_token"] * 2
        assert oauth2.kept_of(fresh(office)).credentials.refresh_token.reveal() == server.refresh_tokens[0]


@in_threads
def test_a_refused_refresh_is_told_and_the_next_may_ask_at_once():
    with AuthorizationServer(withdrawn=True).serving() as server:
        office = person(server, "the-first")
        for _ in range(2):
            with pytest.raises(TokenRefused) as refused:
                ask_at_once(1, office)
            assert refused.value.why is Refusal.CONSENT_WITHDRAWN
        assert len(server.asked) == 2


@in_threads
def test_a_token_endpoint_that_is_away_costs_nothing_while_a_token_holds():
    with AuthorizationServer(away=True).serving() as server:
        office = application(server)
        with pytest.raises(TokenAway):
            ask_at_once(1, office)
        # Four fifths of its life are over: it is renewed ahead, in vain, and serves on.
        assert tokens.settle(looked(office), token(life=HOUR, now=later(minutes=-56)), later(minutes=-56))
        for _ in range(2):
            (held,) = ask_at_once(1, office)
            assert held.access.reveal() == "a-token"
        assert len(server.asked) == 2  # it was not asked again so soon


@in_threads
def test_a_caller_that_is_cancelled_leaves_the_rotated_refresh_token_stored():
    with AuthorizationServer(delay=0.3).serving() as server:
        server.refresh_tokens.append("the-first")
        office = person(server, "the-first")
        hop = lanes.hop_of(office.pk)

        async def run():
            threads = LedgerThreads(1)
            task = asyncio.create_task(TokenSource(HTTP, threads, lambda: NOW).held(office.pk, hop))
            while not server.asked:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(threads.shutdown)

        asyncio.run(run())
        kept = oauth2.kept_of(fresh(office))
        assert [kept.credentials.refresh_token.reveal()] == server.refresh_tokens
        assert looked(office).access.reveal() == server.tokens[0]
