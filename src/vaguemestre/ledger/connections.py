"""Connections: create, edit, switch, name the default, delete (laws L1, L3, L8).

One validation for console, API and CLI. A change is one transaction under one lock: it demotes the previous
default, keeps or replaces the secret, bumps the routing epoch where routing is touched, and is recorded in
the journal. A refusal changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from vaguemestre.ledger import fields, hops, journal, vault
from vaguemestre.ledger.database import lock, storable, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK, bump
from vaguemestre.ledger.models import Connection, Lane, Stream, Verification
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret
from vaguemestre.mail.state import Health
from vaguemestre.smtp.hop import NextHop

BOUND = ("host", "port", "encryption", "pinned_certificate", "auth", "login")  # L8
ROUTING = (
    "name", "sender_email", "sender_name", "reply_to", "active", "is_default", "allowed_senders", "backup_id",
)  # fmt: skip
VERIFICATION_COUNTS = timedelta(hours=1)  # for an identical save

_JOURNALLED = (
    "name", "sender_email", "sender_name", "reply_to", "host", "port", "encryption", "auth", "login",
    "active", "is_default", "allowed_senders", "backup_id", *fields.LIMITS, "pinned_certificate",
    "source_address",
)  # fmt: skip
_DEFAULTS: dict[str, Any] = {
    "name": "", "name_key": "", "sender_email": "", "sender_ascii": "", "sender_name": "", "reply_to": "",
    "host": "", "auth": AuthKind.NONE.value, "login": "", "active": True, "is_default": False,
    "allowed_senders": [], "backup_id": None, "pinned_certificate": "", "source_address": "",
    **dict.fromkeys(fields.LIMITS),
}  # fmt: skip
_REQUIRED = {"name": "name_empty", "sender_email": "address_empty", "host": "host_empty"}


@dataclass(frozen=True)
class NoChoice:
    """Nothing was said about who follows the default."""


@dataclass(frozen=True)
class LeaveNone:
    """Nobody follows the default."""


@dataclass(frozen=True)
class Promote:
    """The connection `uid` follows the default."""

    uid: str


type Successor = NoChoice | LeaveNone | Promote


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


@dataclass(frozen=True)
class Draft:
    """Typed values, sound enough to be verified.

    Attributes:
        hop: where to dial and how; with the typed secret, or the stored one where it is still bound (L8).
        fingerprint: of all that, for `verifications.keep`.
        connection: the saved connection that the values belong to, if any.
    """

    hop: NextHop
    fingerprint: str
    connection: Connection | None


def find(key: str) -> Connection:
    """The connection of that public id or name.

    Raises:
        Missing: there is none.
    """
    existing = Connection.objects.filter(deleted_at=None)
    try:
        found = existing.filter(uid=UUID(key)).first()
    except ValueError:
        found = existing.filter(name_key=fields.name_key(key)).first() if storable(key) else None
    if found is None:
        raise Missing("connection", key)
    return found


def _locked(key: str) -> Connection:
    """The same, kept from every other change until the transaction ends: a courier writes its health."""
    return Connection.objects.select_for_update(no_key=True).get(pk=find(key).pk)


def all_connections() -> list[Connection]:
    """All that are not deleted, by name."""
    return list(Connection.objects.filter(deleted_at=None).order_by("name_key"))


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
    with writing():
        lock(CONFIGURATION_LOCK)
        connection = find(uid)
        _refuse_while_in_use(connection)
        if connection.is_default:
            _hand_over(connection, successor or NoChoice(), actor, now)
        Connection.objects.filter(backup=connection).update(backup=None)
        vault.destroy(connection)
        Connection.objects.filter(pk=connection.pk).update(
            deleted_at=now, active=False, is_default=False, updated_at=now
        )
        bump()
        journal.record("connection", str(connection.uid), "deleted", actor, now, {"name": connection.name})


def pause(uid: str, actor: str, now: datetime) -> Saved:
    """Stop a connection's lane; its mail waits."""
    return _set_health(uid, Health.PAUSED, "paused", actor, now)


def resume(uid: str, actor: str, now: datetime) -> Saved:
    """Let a paused, throttled or locked connection work again."""
    return _set_health(uid, Health.READY, "resumed", actor, now)


def draft(values: fields.Values, uid: str | None = None) -> Draft:
    """Typed values as something to verify. Nothing is saved, and a name is not needed.

    Raises:
        Missing, Refusal: the faults; code `password_again` where the stored secret is not bound any more.
    """
    existing = find(uid) if uid else None
    state, secret, faults = _checked(existing, values, required=("sender_email", "host"))
    if faults:
        raise Refusal(*faults)
    connection = Connection(**_columns(state))
    used = secret if secret is not None else _kept_secret(existing, state)
    return Draft(hops.hop(connection, used), hops.fingerprint(connection, used), existing)


def saved_draft(connection: Connection) -> Draft:
    """A saved connection as something to verify."""
    secret = vault.secret_of(connection)
    return Draft(hops.hop(connection, secret), hops.fingerprint(connection, secret), connection)


def _save(
    existing: Connection | None, values: fields.Values, actor: str, now: datetime, successor: Successor
) -> Saved:
    with writing():
        lock(CONFIGURATION_LOCK)
        if existing is not None:
            existing = _locked(str(existing.uid))
        state, secret, faults = _checked(existing, values, required=tuple(_REQUIRED))
        faults += _name_taken(state, existing)
        if faults:
            raise Refusal(*faults)
        before = _snapshot(existing)
        if values.get("is_default") is False and successor == NoChoice():
            successor = LeaveNone()  # saying "not the default any more" is itself the choice of nobody
        demoted = _settle_default(existing, state, successor, actor, now)
        connection = _write(existing, state, now)
        if secret is not None:
            vault.store(connection, secret, now)
        elif connection.auth == AuthKind.NONE or values.get("clear_password"):
            vault.destroy(connection)
        _refingerprint(connection, now)
        changes = journal.difference(before, _snapshot(connection))
        if secret is not None:
            changes["password"] = ["", "changed"]
        if any(field in changes for field in ROUTING):
            bump()
        if changes:
            action = "created" if existing is None else "changed"
            journal.record("connection", str(connection.uid), action, actor, now, changes)
    return Saved(connection, demoted, unverified=not _verified(connection))


def _checked(
    existing: Connection | None, values: fields.Values, required: tuple[str, ...]
) -> tuple[fields.Clean, Secret | None, list[Invalid]]:
    """The state after `values`, the typed secret, and every fault."""
    base = _DEFAULTS | ({} if existing is None else _attributes(existing))
    given = dict(values)
    if existing is None:
        given = {"encryption": "starttls", "port": None} | given
        given |= {field: "" for field in required if field not in given}
    clean, faults = fields.parse(given, base)
    state = base | clean
    faulty = {fault.field for fault in faults}
    password = str(clean.pop("password", ""))
    state.pop("password", None)
    clear = bool(state.pop("clear_password", False))
    if "auth" not in values:
        state["auth"] = _auth_kind(state, password, existing, clear=clear)
    _resolve_backup(existing, state, faults)
    if not state["active"] and values.get("is_default") is not True:
        state["is_default"] = False  # who follows is settled by the caller's choice of a successor
    if not faulty & {"encryption", "host", "active", "is_default"}:
        faults += fields.cross_check(state)
    if not faulty & {*BOUND, "password"}:
        faults += _password_faults(existing, state, password, clear=clear)
    return state, Secret(password) if password else None, faults


def _auth_kind(state: fields.Clean, password: str, existing: Connection | None, *, clear: bool) -> str:
    kept = existing is not None and existing.auth == AuthKind.PASSWORD and not clear
    return AuthKind.PASSWORD.value if state["login"] or password or kept else AuthKind.NONE.value


def _password_faults(
    existing: Connection | None, state: fields.Clean, password: str, *, clear: bool
) -> list[Invalid]:
    has_secret = existing is not None and vault_has(existing) and not clear
    if has_secret and not password and _moved(existing, state):
        message = "The server, port, encryption or login changed: type the password again."
        return [Invalid("password", "password_again", message)]
    if state["auth"] == AuthKind.NONE:
        message = "There is a password, but the kind of authentication is none: leave out one of them."
        return [Invalid("auth", "auth_contradicts", message)] if password else []
    if not state["login"]:
        return [Invalid("login", "login_missing", "A password needs a login; leave both empty for none.")]
    if not password and not has_secret:
        message = "The login needs its password; leave both empty for a server that asks for none."
        return [Invalid("password", "password_missing", message)]
    return []


def _moved(existing: Connection | None, state: fields.Clean) -> bool:
    """Whether a value changed that the stored secret is bound to (L8)."""
    return existing is not None and any(getattr(existing, field) != state[field] for field in BOUND)


def vault_has(connection: Connection) -> bool:
    """Whether a secret is stored for the connection."""
    return hasattr(connection, "secret") and connection.secret is not None


def _kept_secret(existing: Connection | None, state: fields.Clean) -> Secret | None:
    if existing is None or state["auth"] == AuthKind.NONE or _moved(existing, state):
        return None
    try:
        return vault.secret_of(existing)
    except vault.Unreadable:
        message = "The stored password cannot be read any more: type it again."
        raise Refusal(Invalid("password", "password_unreadable", message)) from None


def _resolve_backup(existing: Connection | None, state: fields.Clean, faults: list[Invalid]) -> None:
    uid = state.pop("backup", None)
    if uid is None:
        return
    try:
        state["backup_id"] = find(uid).pk if uid else None
    except Missing:
        faults.append(Invalid("backup", "connection_unknown", f"There is no connection {uid}."))
        return
    if existing is not None and state["backup_id"] == existing.pk:
        faults.append(Invalid("backup", "backup_itself", "A connection cannot stand in for itself."))


def _name_taken(state: fields.Clean, existing: Connection | None) -> list[Invalid]:
    taken = Connection.objects.filter(name_key=state["name_key"], deleted_at=None)
    if state["name_key"] and taken.exclude(pk=existing.pk if existing else 0).exists():
        message = "Another connection has this name; choose a different one."
        return [Invalid("name", "name_taken", message)]
    return []


def _settle_default(
    existing: Connection | None,
    state: fields.Clean,
    successor: Successor,
    actor: str,
    now: datetime,
) -> tuple[Connection, ...]:
    """Demote whoever is the default where this one becomes it; hand over where this one ceases to be."""
    was = existing is not None and existing.is_default
    if was and existing is not None and not (state["active"] and state["is_default"]):
        _hand_over(existing, successor, actor, now)
        state["is_default"] = False
        return ()
    return () if was or not state["is_default"] else _demote(actor, now)


def _demote(actor: str, now: datetime) -> tuple[Connection, ...]:
    demoted = tuple(Connection.objects.filter(is_default=True))
    for connection in demoted:
        # Before the new one is set: the partial unique index allows one at every instant.
        Connection.objects.filter(pk=connection.pk).update(is_default=False, updated_at=now)
        journal.record(
            "connection", str(connection.uid), "demoted", actor, now, {"is_default": [True, False]}
        )
    return demoted


def _hand_over(default: Connection, successor: Successor, actor: str, now: datetime) -> None:
    if isinstance(successor, NoChoice):
        message = (
            f"{default.name} is the default sender: say who follows it (successor), a connection or nobody."
        )
        raise Conflict("successor_needed", message, {"connection": default.name})
    _demote(actor, now)
    if isinstance(successor, Promote):
        heir = _heir(successor.uid, default)
        Connection.objects.filter(pk=heir.pk).update(is_default=True, updated_at=now)
        journal.record("connection", str(heir.uid), "promoted", actor, now, {"is_default": [False, True]})


def _heir(uid: str, default: Connection) -> Connection:
    try:
        heir = find(uid)
    except Missing as missing:
        raise Refusal(Invalid("successor", "connection_unknown", str(missing))) from None
    if not heir.active or heir.pk == default.pk:
        message = "The successor must be another active connection."
        raise Refusal(Invalid("successor", "successor_inactive", message))
    return heir


def _refuse_while_in_use(connection: Connection) -> None:
    streams = list(Stream.objects.filter(connection=connection).values_list("key", flat=True))
    if streams:
        message = f"Streams still use {connection.name}: {', '.join(streams)}. Give them another one first."
        facts = {"connection": connection.name, "streams": ", ".join(streams)}
        raise Conflict("connection_in_use", message, facts)


def _write(existing: Connection | None, state: fields.Clean, now: datetime) -> Connection:
    connection = existing or Connection(created_at=now)
    for column, value in _columns(state).items():
        setattr(connection, column, value)
    connection.updated_at = now
    connection.version = connection.version + 1 if existing else 1
    connection.save()
    if existing is None:
        Lane.objects.create(connection=connection)
    return connection


def _refingerprint(connection: Connection, now: datetime) -> None:
    """Note what the settings are now; other settings, other health; a fresh verification of them counts."""
    connection.refresh_from_db()
    current = _current_fingerprint(connection)
    if current == connection.fingerprint:
        return
    connection.fingerprint = current
    if connection.health in {Health.LOCKED, Health.THROTTLED}:
        _ready(connection)
    connection.save()
    Verification.objects.filter(
        fingerprint=current, connection=None, at__gte=now - VERIFICATION_COUNTS
    ).update(connection=connection)


def _current_fingerprint(connection: Connection) -> str:
    try:
        return hops.fingerprint(connection, vault.secret_of(connection))
    except vault.Unreadable:
        # Of no verification. What cannot be read is never used, but must not keep the rest from being edited.
        return ""


def _ready(connection: Connection) -> None:
    connection.health, connection.health_why, connection.health_text = Health.READY.value, "", ""
    connection.health_until, connection.health_step, connection.broken_running = None, 0, 0


def _verified(connection: Connection) -> bool:
    latest = Verification.objects.filter(connection=connection).order_by("-at").first()
    return latest is not None and latest.ok and latest.fingerprint == connection.fingerprint


def _set_health(uid: str, health: Health, action: str, actor: str, now: datetime) -> Saved:
    with writing():
        lock(CONFIGURATION_LOCK)
        connection = _locked(uid)
        before = connection.health
        _ready(connection)
        if health is Health.PAUSED:
            connection.health, connection.health_why = Health.PAUSED.value, "paused"
            connection.health_text = actor
        connection.updated_at = now
        connection.save()
        changes = {"health": [before, connection.health]}
        journal.record("connection", str(connection.uid), action, actor, now, changes)
    return Saved(connection)


def _attributes(connection: Connection) -> fields.Clean:
    return {column: getattr(connection, column) for column in (*_DEFAULTS, "port", "encryption")}


def _columns(state: fields.Clean) -> fields.Clean:
    return {column: state[column] for column in (*_DEFAULTS, "port", "encryption")}


def _snapshot(connection: Connection | None) -> dict[str, object]:
    return {} if connection is None else {column: getattr(connection, column) for column in _JOURNALLED}
