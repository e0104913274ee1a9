"""The token that a verification signs in with, asked for ahead of the dialogue (OAuth 2.0).

Of saved settings it is the couriers' own, which is renewed for them too. Of settings as typed it is asked for
with what was typed and kept nowhere. What it allows is looked at: a server that refuses it rarely says why.
Fails as `token_source` does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings

from vaguemestre.dialling import http_from
from vaguemestre.http_transport import HttpTransport
from vaguemestre.ledger.connections import Draft
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account
from vaguemestre.providers.oauth2.exchange import obtain
from vaguemestre.providers.oauth2.grants import Refusal, TokenRefused, lacks
from vaguemestre.token_source import TokenSource

ASKS = "token from"  # how its step begins


@dataclass(frozen=True)
class SignInToken:
    """A token, and what is known of it.

    Attributes:
        access: the token.
        scope: what it allows; "" where that is not known.
        lacking: what it would have to allow besides; "" for nothing.
    """

    access: Secret
    scope: str
    lacking: str


@dataclass(frozen=True)
class SignIn:
    """Where the token comes from.

    Attributes:
        place: the token endpoint's host, for the transcript; "" where there is none.
        ask: for the token.
    """

    place: str
    ask: Callable[[], Awaitable[SignInToken]]


def sign_in_of(draft: Draft) -> SignIn | None:
    """How a draft comes by its token; None where it signs in with none."""
    if draft.hop.auth is not AuthKind.OAUTH2:
        return None
    account = draft.account

    async def ask() -> SignInToken:
        if account is None:
            raise TokenRefused(Refusal.NOT_CONNECTED)
        transport = http_from(settings.ENVIRONMENT)
        if draft.credentials is None:
            return await _stored(draft, account, transport)
        token = await obtain(transport, account, draft.credentials, _now())
        return SignInToken(token.access, token.scope, lacks(account, token.scope))

    return SignIn("" if account is None else urlsplit(account.token_endpoint).hostname or "", ask)


async def _stored(draft: Draft, account: Account, http: HttpTransport) -> SignInToken:
    if draft.connection is None:
        raise TokenRefused(Refusal.NOT_CONNECTED)
    threads = LedgerThreads(1)
    try:
        held = await TokenSource(http, threads, _now).held(draft.connection.pk, draft.hop)
    finally:
        threads.shutdown()
    return SignInToken(held.access, held.scope, lacks(account, held.scope))


def _now() -> datetime:
    return datetime.now(UTC)


def with_lacking(trouble: Trouble, token: SignInToken | None) -> Trouble:
    """A refused sign-in, with what the token lacks: the server decided, and this is why."""
    refused = trouble.phase is Phase.AUTH and trouble.cause is Cause.REPLY
    if token is None or not token.lacking or not refused:
        return trouble
    return replace(trouble, facts={**trouble.facts, "oauth_lacks": token.lacking})
