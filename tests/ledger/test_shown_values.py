"""No value that holds a secret shows it: neither as text nor as repr."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from ledger.kit import NOW, connect, fresh
from scripted.authorization import CLIENT
from system.canaries import occurrences
from vaguemestre.courier.alerts import Destination
from vaguemestre.http_transport import Address, Answer
from vaguemestre.ledger import connections, lanes, oauth2, tokens
from vaguemestre.ledger.passphrase import Seal
from vaguemestre.ledger.portable_import import Manner
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.grants import Agreed, Token, code_request, token_request
from vaguemestre.signing import SigningKey

pytestmark = pytest.mark.django_db

CLIENT_SECRET, REFRESH, ACCESS = (
    "Kanarie-8RbN6xD3-client",
    "Kanarie-3TgH5yJ8-refresh",
    "Kanarie-2VfA9cM5-access",
)
CODE, VERIFIER, PASSPHRASE = "Kanarie-4HnK7tQ1-code", "Kanarie-5YdU3gB6-verifier", "Kanarie-6ZvC2bN4-phrase"
ALERTS = b"Kanarie-1PkM8zU6-alerts!"
ALL = (CLIENT_SECRET, REFRESH, ACCESS, CODE, VERIFIER, PASSPHRASE, ALERTS)


def account():
    return {
        "provider": "generic", "grant": "authorization_code", "client_id": CLIENT, "scope": "mail.send",
        "token_endpoint": "https://login.example.org/token", "client_secret": CLIENT_SECRET,
        "authorization_endpoint": "https://login.example.org/authorize", "refresh_token": REFRESH,
    }  # fmt: skip


def of_the_account(office):
    """Everything on the way from a connection to its token."""
    ask = tokens.look(office.pk, lanes.hop_of(office.pk), None, NOW)
    token = Token(Secret(ACCESS), NOW + timedelta(hours=1), "mail.send", Secret(REFRESH))
    agreed = Agreed(Secret(CODE), Secret(VERIFIER), "https://mail.example.org/oauth2/callback/")
    assert tokens.settle(ask, token, NOW)
    held = tokens.look(office.pk, lanes.hop_of(office.pk), None, NOW)
    kept = oauth2.kept_of(fresh(office))
    assert (kept.access.reveal(), held.access.reveal()) == (ACCESS, ACCESS)
    draft = replace(connections.saved_draft(fresh(office)), credentials=ask.credentials)
    request = token_request(ask.account, ask.credentials, NOW)
    exchange = code_request(ask.account, ask.credentials, agreed)
    assert REFRESH.encode() in request.body
    assert CODE.encode() in exchange.body
    row = fresh(office)
    return [
        ask, token, agreed, held, kept, draft, request, exchange, Answer(200, {}, ACCESS.encode()), row,
        row.authorization, row.secret, vars(row.authorization), oauth2.resource(row), bytes(row.secret.sealed),
    ]  # fmt: skip


def of_the_instance():
    key, seal = SigningKey(ALERTS), Seal.new(Secret(PASSPHRASE))
    to = Destination(Address.parse("https://alerts.example.org/"), SimpleNamespace(), None, "", key=key)
    return [
        key,
        seal,
        seal.parameters,
        seal.close({"refresh_token": REFRESH}, "x"),
        Manner(Secret(PASSPHRASE)),
        to,
    ]


def test_no_value_shows_what_it_holds():
    office = connect(auth="oauth2", login="office@example.org", oauth2=account())
    shown = [f"{value!r}{value!s}" for value in (*of_the_account(office), *of_the_instance())]
    assert occurrences([(text[:60], text.encode()) for text in shown], ALL) == []


def test_the_search_would_find_one():
    assert occurrences([("text", repr({"Authorization": f"Bearer {ACCESS}"}).encode())], ALL)
    assert occurrences([("octets", repr(ALERTS).encode())], ALL)
