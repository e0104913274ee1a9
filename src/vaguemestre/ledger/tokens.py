"""The access token at hand of a connection, one for every courier and web process, and the right to renew it.

`look` answers with the token while it lasts, and ahead of its end gives one caller the right to ask for
another: an `Ask`, good for `ASKING`, during which everybody else is told to use what there is, or to wait.
`settle` stores what came of it, a rotated refresh token with it, in one transaction; what was changed
meanwhile is not overwritten. So no two processes ever use one refresh token at once. A process that dies in
between leaves the right to the next after `ASKING`.

Both fail with `vault.Unreadable` or `vault.KeyMissing` where the secrets cannot be had.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vaguemestre.ledger import oauth2
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import Authorization, Connection
from vaguemestre.ledger.oauth2 import Kept
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account
from vaguemestre.providers.oauth2.grants import Credentials, Refusal, Token, TokenRefused
from vaguemestre.smtp.hop import NextHop

AHEAD = timedelta(minutes=5)  # before its end a token is renewed; a short-lived one in its last quarter
ASKING = timedelta(seconds=20)  # longer than any request to a token endpoint


@dataclass(frozen=True)
class Held:
    """The access token at hand.

    Attributes:
        access: to sign in with.
        scope: what it allows, as far as known.
        expires_at: its end.
    """

    access: Secret
    scope: str
    expires_at: datetime


@dataclass(frozen=True)
class Ask:
    """The right to ask for another token.

    Attributes:
        connection_id: whose.
        name: of this right; another's right has another.
        account, credentials: to ask with.
        meanwhile: the token that still holds; None if there is none.
    """

    connection_id: int
    name: str
    account: Account
    credentials: Credentials
    meanwhile: Held | None = None


@dataclass(frozen=True)
class Wait:
    """Somebody else is asking, and there is nothing to use until then."""


def look(connection_id: int, hop: NextHop, refused: Secret | None, now: datetime) -> Held | Ask | Wait:
    """The token for a session with that hop, or what has to happen first.

    Args:
        connection_id: whose.
        hop: where the token would go; of other settings than those saved it gets none.
        refused: the token that the server has just refused; None for none.
        now: aware.

    Raises:
        TokenRefused: there is no account to ask with.
    """
    found = _found(connection_id, hop, refused, now)
    if not isinstance(found, _Due):
        return found
    with writing():
        lock(CONFIGURATION_LOCK)  # of two who look at once, one asks; and no edit comes in between
        found = _found(connection_id, hop, refused, now)
        return found.take(now) if isinstance(found, _Due) else found


def settle(ask: Ask, token: Token, now: datetime) -> bool:
    """Store the token that was asked for; False where the right was lost, and nothing is stored."""
    with writing():
        lock(CONFIGURATION_LOCK)
        row = Authorization.objects.select_related("connection").filter(asking=ask.name).first()
        if row is None or oauth2.account_of(row.connection) != ask.account:
            return False
        kept = oauth2.kept_of(row.connection)
        rotated = token.refresh_token or kept.credentials.refresh_token
        credentials = replace(kept.credentials, refresh_token=rotated)
        oauth2.store(row.connection, replace(kept, credentials=credentials, access=token.access), now)
        row.obtained_at, row.expires_at, row.granted_scope = now, token.expires_at, token.scope
        row.asking, row.asking_until = "", None
        row.save()
    return True


def give_up(ask: Ask) -> None:
    """Give the right back: no token came of it."""
    Authorization.objects.filter(asking=ask.name).update(asking="", asking_until=None)


@dataclass(frozen=True)
class _Due:
    """A token is to be asked for, and nobody does."""

    row: Authorization
    account: Account
    kept: Kept
    meanwhile: Held | None

    def take(self, now: datetime) -> Ask:
        name = secrets.token_hex(8)
        self.row.asking, self.row.asking_until = name, now + ASKING
        self.row.save(update_fields=["asking", "asking_until"])
        return Ask(self.row.pk, name, self.account, self.kept.credentials, self.meanwhile)


def _found(connection_id: int, hop: NextHop, refused: Secret | None, now: datetime) -> Held | Wait | _Due:
    connection = Connection.objects.select_related("authorization").get(pk=connection_id)
    row, account = oauth2.row_of(connection), oauth2.account_of(connection)
    if row is None or account is None or connection.auth != AuthKind.OAUTH2:
        raise TokenRefused(Refusal.NOT_CONNECTED)
    if not _goes_to(connection, hop):
        return Wait()  # the caller's settings are not those that are saved; it will see them shortly
    kept = oauth2.kept_of(connection)
    held = _held(row, kept, refused, now)
    if held is not None and row.obtained_at is not None and now < _renewal(row.obtained_at, held.expires_at):
        return held
    # Further ahead than any right reaches: the clock was set back, and who asked then is long gone.
    if row.asking_until is not None and now < row.asking_until <= now + ASKING:
        return held or Wait()
    return _Due(row, account, kept, held)


def _held(row: Authorization, kept: Kept, refused: Secret | None, now: datetime) -> Held | None:
    if row.expires_at is None or row.expires_at <= now or not kept.access:
        return None
    if refused is not None and refused.reveal() == kept.access.reveal():
        return None
    return Held(kept.access, row.granted_scope, row.expires_at)


def _renewal(obtained_at: datetime, expires_at: datetime) -> datetime:
    return expires_at - min(AHEAD, (expires_at - obtained_at) / 4)


def _goes_to(connection: Connection, hop: NextHop) -> bool:
    saved = (connection.host, connection.port, connection.encryption, connection.login)
    return (*saved, connection.pinned_certificate) == (
        hop.host, hop.port, hop.encryption.value, hop.login, hop.pinned_certificate,
    )  # fmt: skip
