"""Secrets at rest (L8): AES-256-GCM under a key outside the database, bound to where they may go.

The associated data is the length-prefixed list of a connection's id, host, port, encryption, pinned
certificate, kind of auth and login, with OAuth 2.0 also of whom tokens are asked of and for what: a row
edited by hand, an import or a bug that points the secret elsewhere makes it unreadable rather than leaked. A
sealed secret names its key, so that keys rotate; the canary in the instance row tells at start that a key is
missing.

Fails with `KeyMissing` (no key can read it) or `Unreadable` (its binding was changed).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from vaguemestre.ledger import journal, models
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.secret import Secret

_NONCE = 12  # bytes, NIST SP 800-38D §8.2
_KEY_ID = 4  # bytes of the key's digest


class Shut(Exception):
    """What the vault holds cannot be had; the text says why, and what to do."""


class KeyMissing(Shut):
    """No configured key can open what was sealed."""


class Unreadable(Shut):
    """The secret does not belong to the values it stands beside."""


def binding(connection: models.Connection) -> bytes:
    """The associated data of a connection's secret."""
    fields = (
        str(connection.uid),
        connection.host,
        str(connection.port),
        str(connection.encryption),
        connection.pinned_certificate,
        str(connection.auth),
        connection.login,
    )
    return length_prefixed((*fields, *_authorization(connection)))


def _authorization(connection: models.Connection) -> tuple[str, ...]:
    """Of an account of OAuth 2.0; nothing of a password."""
    row = getattr(connection, "authorization", None) if connection.auth == AuthKind.OAUTH2 else None
    if row is None:
        return ()
    return (row.token_endpoint, row.tenant, row.client_id, row.grant, row.scope, row.issuer)


def length_prefixed(fields: Iterable[str]) -> bytes:
    """The fields so joined that no two lists read the same."""
    encoded = [field.encode() for field in fields]
    return b"".join(len(field).to_bytes(4, "big") + field for field in encoded)


def seal(secret: Secret, bound_to: bytes) -> bytes:
    """Encrypt under the first key: key id, nonce, ciphertext and tag."""
    key = _keys()[0]
    nonce = os.urandom(_NONCE)
    return _key_id(key) + nonce + AESGCM(key).encrypt(nonce, secret.reveal().encode(), bound_to)


def unseal(sealed: bytes, bound_to: bytes) -> Secret:
    """Decrypt.

    Raises:
        KeyMissing: none of the configured keys sealed it.
        Unreadable: the binding or the bytes were changed.
    """
    wanted, nonce, body = sealed[:_KEY_ID], sealed[_KEY_ID : _KEY_ID + _NONCE], sealed[_KEY_ID + _NONCE :]
    key = next((key for key in _keys() if _key_id(key) == wanted), None)
    if key is None:
        raise KeyMissing(
            "The vault key that sealed the stored passwords is not configured: restore vault.key or set"
            " VAGUEMESTRE_VAULT_KEYS to the old key."
        )
    try:
        return Secret(AESGCM(key).decrypt(nonce, body, bound_to).decode())
    except (InvalidTag, ValueError):  # ValueError: bytes too few to be sealed at all
        raise Unreadable(
            "A stored secret does not belong to the values it stands beside: type it again."
        ) from None


def store(connection: models.Connection, secret: Secret, now: datetime) -> None:
    """Keep a connection's secret, replacing the one before."""
    sealed = seal(secret, binding(connection))
    models.Secret.objects.update_or_create(
        connection=connection, defaults={"sealed": sealed, "updated_at": now}
    )


def secret_of(connection: models.Connection) -> Secret | None:
    """A connection's secret, None where it has none."""
    row = models.Secret.objects.filter(connection=connection).first()
    return None if row is None else unseal(bytes(row.sealed), binding(connection))


def has(connection: models.Connection) -> bool:
    """Whether a secret is stored for the connection."""
    return getattr(connection, "secret", None) is not None


def unreadable() -> list[models.Connection]:
    """The connections whose stored secret cannot be read, for a check by the operator."""
    return [
        row.connection
        for row in models.Secret.objects.select_related("connection")
        if not _opens(bytes(row.sealed), binding(row.connection))
    ]


def _opens(sealed: bytes, bound_to: bytes) -> bool:
    try:
        unseal(sealed, bound_to)
    except Shut:
        return False
    return True


def destroy(connection: models.Connection) -> None:
    """Forget a connection's secret."""
    models.Secret.objects.filter(connection=connection).delete()


def fingerprint(fields: Iterable[str], secret: Secret | None) -> str:
    """An HMAC over values and secret, by which a verification is recognised without keeping either."""
    typed = length_prefixed([*fields, "" if secret is None else secret.reveal()])
    return hmac.new(_canary().reveal().encode(), typed, hashlib.sha256).hexdigest()


def check_canary() -> None:
    """Tell a wrong key before it does harm; the first start writes the canary.

    Raises:
        KeyMissing: the configured keys are not those of this database.
    """
    _canary()


def _canary() -> Secret:
    """A random text of this database, sealed like a password.

    It tells a wrong key, and is the key of fingerprints, which so outlive every rotation.
    """
    if not models.Instance.objects.exclude(canary=b"").exists():
        fresh = seal(Secret(secrets.token_hex(32)), b"canary")
        models.Instance.objects.filter(canary=b"").update(canary=fresh)  # of two first starts, one writes
    try:
        return unseal(bytes(models.Instance.objects.get().canary), b"canary")
    except Shut:
        raise KeyMissing(
            "The vault keys are not the ones this database was made with: restore vault.key or set"
            " VAGUEMESTRE_VAULT_KEYS to the old key."
        ) from None


def rotate(now: datetime) -> int:
    """Seal everything under the first key; the answer is how many secrets were sealed anew.

    A secret that does not belong to the values it stands beside is left as it is: nothing uses it.

    Raises:
        KeyMissing: the key of one of them is not configured; nothing was changed.
    """
    with writing():
        lock(CONFIGURATION_LOCK)  # so that no password saved meanwhile is overwritten by the one before
        sealed = [_reseal(row, now) for row in models.Secret.objects.select_related("connection")]
        models.Instance.objects.update(canary=seal(_canary(), b"canary"))
    return sum(sealed)


def forget(actor: str, now: datetime) -> list[str]:
    """Where a key is lost for good: give up what it alone opens, and begin with the present one.

    The connections stay as they are, each with a secret that cannot be read until it is typed again: until
    then a courier locks it and its mail waits. Verifications no longer count, since a new canary tells them.
    The answer is the names of the connections.

    Raises:
        KeyMissing: there is no present key.
        Conflict: the present keys open everything.
    """
    with writing():
        lock(CONFIGURATION_LOCK)
        lost = [row for row in models.Secret.objects.select_related("connection") if _is_lost(row)]
        canary = bytes(models.Instance.objects.get().canary)
        if canary and not _opens(canary, b"canary"):
            models.Instance.objects.update(canary=seal(Secret(secrets.token_hex(32)), b"canary"))
        elif not lost:
            raise Conflict("nothing_lost", "The vault keys open everything that is stored: nothing is lost.")
        for row in lost:
            row.sealed, row.updated_at = seal(Secret(secrets.token_hex(32)), b"forgotten"), now
            row.save()
        names = sorted(row.connection.name for row in lost)
        journal.record("vault", "instance", "forgotten", actor, now, {"connections": names})
    return names


def _is_lost(row: models.Secret) -> bool:
    try:
        unseal(bytes(row.sealed), binding(row.connection))
    except KeyMissing:
        return True
    except Unreadable:
        return False
    return False


def _reseal(row: models.Secret, now: datetime) -> bool:
    bound_to = binding(row.connection)
    try:
        secret = unseal(bytes(row.sealed), bound_to)
    except Unreadable:
        return False
    row.sealed, row.updated_at = seal(secret, bound_to), now
    row.save()
    return True


def _keys() -> list[bytes]:
    keys = [base64.b64decode(key.reveal()) for key in settings.ENVIRONMENT.vault_keys]
    if not keys:
        raise KeyMissing("No vault key is configured: restore vault.key or set VAGUEMESTRE_VAULT_KEYS to it.")
    return keys


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_KEY_ID]
