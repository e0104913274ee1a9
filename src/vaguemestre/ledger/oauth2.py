"""A connection's account of OAuth 2.0 between its row, the vault and a value.

All of its secrets are one sealed text: client secret or private key, refresh token, the access token at hand.
The vault binds it (L8) to all that a connection's secret is bound to, for a token goes where a password would
go, and to whom tokens are asked of and for what. It opens nothing that was changed since; `kept_of` then
fails with `vault.Unreadable`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from vaguemestre.ledger import vault
from vaguemestre.ledger.models import Authorization, Connection
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account, Grant, Provider
from vaguemestre.providers.oauth2.grants import Credentials

_COLUMNS = tuple(one.name for one in fields(Account) if one.name != "subject")


@dataclass(frozen=True)
class Kept:
    """What the vault holds of an account.

    Attributes:
        credentials: what the account proves itself with.
        access: the access token at hand; empty for none.
        consent: tells one consent of a person from another, though its refresh token rotates; "" without.
    """

    credentials: Credentials = field(default_factory=Credentials)
    access: Secret = field(default_factory=lambda: Secret(""))
    consent: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.credentials.secret or self.credentials.refresh_token or self.access)

    @classmethod
    def of(cls, credentials: Credentials) -> Kept:
        """Newly typed, or newly agreed to: no token was asked for yet."""
        refresh = credentials.refresh_token.reveal()
        return cls(credentials, consent=hashlib.sha256(refresh.encode()).hexdigest() if refresh else "")


def row_of(connection: Connection) -> Authorization | None:
    """The row beside a connection."""
    found: Authorization | None = getattr(connection, "authorization", None)
    return found


def account_of(connection: Connection) -> Account | None:
    """The account of a connection, None where it has none (yet)."""
    row = row_of(connection)
    if row is None:
        return None
    texts = {name: getattr(row, name) for name in _COLUMNS}
    texts |= {"provider": Provider(row.provider), "grant": Grant(row.grant)}
    return Account(**texts, subject=connection.login)


def kept_of(connection: Connection) -> Kept:
    """What the vault holds; nothing where there is no account.

    Raises:
        vault.KeyMissing, vault.Unreadable: as the vault does.
    """
    secret = None if row_of(connection) is None else vault.secret_of(connection)
    return Kept() if secret is None else _opened(secret)


def is_connected(connection: Connection) -> bool:
    """Whether there is what tokens are asked for with: a secret, or a person's consent."""
    account = account_of(connection)
    if account is None:
        return False
    try:
        credentials = kept_of(connection).credentials
    except vault.Shut:
        return False
    person = account.grant is Grant.AUTHORIZATION_CODE
    return bool(credentials.refresh_token if person else credentials.secret)


def resource(connection: Connection) -> dict[str, Any] | None:
    """The account as the API shows it, without any secret; None where there is none."""
    row = row_of(connection) if connection.auth == AuthKind.OAUTH2 else None
    if row is None:
        return None
    return {
        **{name: getattr(row, name) for name in _COLUMNS},
        "connected": is_connected(connection),
        "granted_scope": row.granted_scope,
        "expires_at": row.expires_at,
    }


def keep(connection: Connection, account: Account, kept: Kept | None, now: datetime) -> None:
    """Save an account with other secrets, and forget the token of the ones before; None leaves them."""
    values = {name: value for name, value in asdict(account).items() if name in _COLUMNS}
    if kept is not None:
        values |= {
            "obtained_at": None, "expires_at": None, "granted_scope": "", "asking": "", "asking_until": None,
        }  # fmt: skip
    row, _ = Authorization.objects.update_or_create(connection=connection, defaults=values)
    connection.authorization = row
    if kept is not None:
        store(connection, kept, now)


def store(connection: Connection, kept: Kept, now: datetime) -> None:
    """Give the vault what it is to hold."""
    if kept.empty:
        vault.destroy(connection)
    else:
        vault.store(connection, _closed(kept), now)


def forget(connection: Connection) -> None:
    """Forget a connection's account."""
    Authorization.objects.filter(connection=connection).delete()


def identity(account: Account | None, kept: Kept) -> tuple[tuple[str, ...], Secret | None]:
    """What a verification is recognised by: it counts on, though tokens come and go."""
    if account is None:
        return (), None
    words = tuple(str(getattr(account, name)) for name in _COLUMNS)
    return (*words, kept.consent), kept.credentials.secret


def _closed(kept: Kept) -> Secret:
    credentials = kept.credentials
    return Secret(
        json.dumps(
            {
                "secret": credentials.secret.reveal(),
                "key_id": credentials.key_id,
                "refresh_token": credentials.refresh_token.reveal(),
                "access": kept.access.reveal(),
                "consent": kept.consent,
            }
        )
    )


def _opened(secret: Secret) -> Kept:
    words: dict[str, str] = json.loads(secret.reveal())
    credentials = Credentials(Secret(words["secret"]), words["key_id"], Secret(words["refresh_token"]))
    return Kept(credentials, Secret(words["access"]), words["consent"])
