"""Connections: create, edit, switch, name the default, delete (laws L1, L3, L8).

One validation for console, API and CLI. A change is one transaction under one lock: it demotes the previous
default, keeps or replaces the secret, bumps the routing epoch where routing is touched, and is recorded in
the journal. A refusal changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vaguemestre.ledger import fields, journal, oauth2, referrers, sightings, vault, verifications
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.default_changes import noted
from vaguemestre.ledger.health import health_of, store_health
from vaguemestre.ledger.instance import bump, lock_routing
from vaguemestre.ledger.lookup import all_connections, find, locked
from vaguemestre.ledger.models import Connection, Lane, Verification
from vaguemestre.ledger.oauth2_typed import Typed
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.succession import LeaveNone, NoChoice, Promote, Successor, hand_over, settle_default
from vaguemestre.ledger.typed import (
    Draft,
    checked,
    columns,
    draft,
    name_taken,
    saved_draft,
    saved_fingerprint,
    vault_has,
)
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.secret import Secret
from vaguemestre.mail.state import Health
from vaguemestre.policy.health import HealthState, paused, resumed, unlocked
from vaguemestre.policy.unopened import ABOUT_SIGN_IN

# The rest of the ledger's talk about connections, for those who come in by this module.
__all__ = [
    "Draft", "LeaveNone", "NoChoice", "Promote", "Saved", "Successor", "activate", "all_connections",
    "create", "deactivate", "delete", "draft", "edit", "find", "make_default", "pause", "resume",
    "saved_draft", "vault_has",
]  # fmt: skip

ROUTING = (
    "name", "sender_email", "sender_name", "reply_to", "active", "is_default", "allowed_senders", "backup_id",
)  # fmt: skip
SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105  why a connection is locked: the vault cannot open it
VERIFICATION_COUNTS = timedelta(hours=1)  # for an identical save

_JOURNALLED = (
    "name", "sender_email", "sender_name", "reply_to", "host", "port", "encryption", "auth", "login",
    "active", "is_default", "allowed_senders", "backup_id", *fields.LIMITS, "pinned_certificate",
    "source_address",
)  # fmt: skip
_REQUIRED = {"name": "name_empty", "sender_email": "address_empty", "host": "host_empty"}


@dataclass(frozen=True)
class Saved:
    """A saved connection, and what saving it did.

    Attributes:
        demoted: who was the default before, and still is active.
        unverified: no successful verification of these very settings within the hour, or ever.
    """

    connection: Connection
    demoted: tuple[Connection, ...] = ()
    unverified: bool = False


def create(values: fields.Values, actor: str, now: datetime) -> Saved:
    """A new connection.

    Raises:
        Refusal: the faults, each at its field.
    """
    return _save(None, values, actor, now, NoChoice())


def edit(
    uid: str, values: fields.Values, actor: str, now: datetime, successor: Successor | None = None
) -> Saved:
    """Change the named values of a connection.

    Raises:
        Missing, Refusal: the faults, each at its field.
        Conflict: the default would go, and who follows was not said.
    """
    return _save(find(uid), values, actor, now, successor or NoChoice())


def make_default(uid: str, actor: str, now: datetime) -> Saved:
    """Name the default sender; the previous one stays active and is named in the answer."""
    return edit(uid, {"is_default": True}, actor, now)


def activate(uid: str, actor: str, now: datetime) -> Saved:
    """Let a connection carry mail."""
    return edit(uid, {"active": True}, actor, now)


def deactivate(uid: str, actor: str, now: datetime, successor: Successor | None = None) -> Saved:
    """Keep a connection from carrying mail, at once.

    Raises:
        Conflict: it is the default, and who follows was not said.
    """
    return edit(uid, {"active": False}, actor, now, successor)


def delete(uid: str, actor: str, now: datetime, successor: Successor | None = None) -> None:
    """Delete a connection and destroy its secret; messages still know that it carried them.

    Raises:
        Conflict: streams name it, or it is the default and who follows was not said.
    """
    with writing(), _change_of_default(actor, now):
        connection = find(uid)
        _refuse_while_in_use(connection)
        if connection.is_default:
            hand_over(connection, successor or NoChoice(), actor, now)
        Connection.objects.filter(backup=connection).update(backup=None)
        vault.destroy(connection)
        oauth2.forget(connection)
        Connection.objects.filter(pk=connection.pk).update(
            deleted_at=now, active=False, is_default=False, updated_at=now
        )
        bump()
        journal.record("connection", str(connection.uid), "deleted", actor, now, {"name": connection.name})


def pause(uid: str, actor: str, now: datetime) -> Saved:
    """Stop a connection's lane; its mail waits.

    Raises:
        Missing.
        Conflict: it is locked, and stopped by that already.
    """

    def change(connection: Connection) -> HealthState:
        return replace(paused(_not_locked(connection), "paused", now=now), text=actor)

    return _change_health(uid, change, "paused", actor, now)


def resume(uid: str, actor: str, now: datetime) -> Saved:
    """Let a paused or throttled connection work again.

    Raises:
        Missing.
        Conflict: it is locked: trying refused credentials again is how providers lock mailboxes.
    """

    def change(connection: Connection) -> HealthState:
        return resumed(unlocked(_not_locked(connection)))

    return _change_health(uid, change, "resumed", actor, now)


def _save(
    existing: Connection | None, values: fields.Values, actor: str, now: datetime, successor: Successor
) -> Saved:
    with writing(), _change_of_default(actor, now):
        if existing is not None:
            existing = locked(str(existing.uid))
        state, secret, faults = checked(existing, values, required=tuple(_REQUIRED))
        faults += name_taken(state, existing)
        if faults:
            raise Refusal(*faults)
        before = _snapshot(existing)
        if values.get("is_default") is False and successor == NoChoice():
            successor = LeaveNone()  # saying "not the default any more" is itself the choice of nobody
        demoted = settle_default(existing, state, successor, actor, now)
        connection = _write(existing, state, now)
        renewed = _keep_secrets(
            connection, state["oauth2"], secret, clear=bool(values.get("clear_password")), now=now
        )
        forgotten = existing is not None and connection.auth == AuthKind.NONE
        _refingerprint(connection, now, new_secret=renewed or forgotten)
        changes = journal.difference(before, _snapshot(connection))
        if renewed:
            changes["password"] = ["", "changed"]
        if any(field in changes for field in ROUTING):
            bump()
        if changes:
            action = "created" if existing is None else "changed"
            journal.record("connection", str(connection.uid), action, actor, now, changes)
    return Saved(connection, demoted, unverified=not _verified(connection))


def _keep_secrets(
    connection: Connection, typed: Typed, secret: Secret | None, *, clear: bool, now: datetime
) -> bool:
    """Store what was typed, destroy what has no use any more; whether there is another secret now."""
    if connection.auth == AuthKind.OAUTH2 and typed.account is not None:
        oauth2.keep(connection, typed.account, typed.kept, now)
        return typed.kept is not None and not typed.kept.empty
    oauth2.forget(connection)
    if secret is not None:
        vault.store(connection, secret, now)
    elif connection.auth != AuthKind.PASSWORD or clear:
        vault.destroy(connection)
    return secret is not None


@contextmanager
def _change_of_default(actor: str, now: datetime) -> Iterator[None]:
    """Under the lock of the configuration; whether the default is another one then is noted."""
    lock_routing()
    with noted(actor, now):
        yield


def _refuse_while_in_use(connection: Connection) -> None:
    users = ", ".join(referrer.key for referrer in referrers.of(connection))
    if users:
        message = f"Streams still use {connection.name}: {users}. Give them another one first."
        facts = {"connection": connection.name, "streams": users}
        raise Conflict("connection_in_use", message, facts)


def _write(existing: Connection | None, state: fields.Clean, now: datetime) -> Connection:
    connection = existing or Connection(created_at=now)
    for column, value in columns(state).items():
        setattr(connection, column, value)
    connection.updated_at = now
    connection.version = connection.version + 1 if existing else 1
    connection.save()
    if existing is None:
        Lane.objects.create(connection=connection)
    return connection


def _refingerprint(connection: Connection, now: datetime, *, new_secret: bool) -> None:
    """Note what the settings are now; other settings, other health; a fresh verification of them counts.

    Refused credentials stay locked until there are others (L7).
    """
    connection.refresh_from_db()
    current = _current_fingerprint(connection)
    mended = new_secret and connection.health_why == SECRET_UNREADABLE  # typed again, though it is the same
    if current == connection.fingerprint and not mended:
        return
    connection.fingerprint = current
    if new_secret or connection.health_why not in ABOUT_SIGN_IN:
        store_health(connection, unlocked(health_of(connection)))
    counting = Verification.objects.filter(
        fingerprint=current, connection=None, at__gte=now - VERIFICATION_COUNTS
    )
    for address in counting.exclude(seen_address="").values_list("seen_address", flat=True):
        sightings.note(connection.pk, address, now)
    counting.update(connection=connection)
    verifications.settle_mechanism(connection)
    connection.save()


def _current_fingerprint(connection: Connection) -> str:
    try:
        return saved_fingerprint(connection)
    except vault.Unreadable:
        # Of no verification. What cannot be read is never used, but must not keep the rest from being edited.
        return ""


def _verified(connection: Connection) -> bool:
    latest = Verification.objects.filter(connection=connection).order_by("-id").first()
    return latest is not None and latest.ok and latest.fingerprint == connection.fingerprint


def _change_health(
    uid: str, change: Callable[[Connection], HealthState], action: str, actor: str, now: datetime
) -> Saved:
    with writing():
        lock_routing()
        connection = locked(uid)
        before = connection.health
        store_health(connection, change(connection))
        connection.updated_at = now
        connection.save()
        changes = {"health": [before, connection.health]}
        journal.record("connection", str(connection.uid), action, actor, now, changes)
    return Saved(connection)


def _not_locked(connection: Connection) -> HealthState:
    """Its health, unless only a verification or a new secret may change it (L7)."""
    if connection.health == Health.LOCKED:
        said = f" ({connection.health_text})" if connection.health_text else ""
        message = (
            f"{connection.name} is locked, since its server refused it{said}."
            " Verify it, or type the password again."
        )
        facts = {"connection": connection.name, "said": connection.health_text}
        raise Conflict("connection_locked", message, facts)
    return health_of(connection)


def _snapshot(connection: Connection | None) -> dict[str, object]:
    return {} if connection is None else {column: getattr(connection, column) for column in _JOURNALLED}
