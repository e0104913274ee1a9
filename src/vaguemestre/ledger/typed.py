"""Typed values of a connection, checked against what is stored (L8, L11).

`fields` judges each value by itself; here they meet the saved connection: the stored secret serves only while
nothing changed that it is bound to, a name is taken, a backup exists. `draft` makes of them what a
verification needs, without saving anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from vaguemestre.ledger import fields, hops, oauth2, oauth2_typed, vault
from vaguemestre.ledger.lookup import find
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.oauth2 import Kept
from vaguemestre.ledger.oauth2_typed import BOUND, Typed
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account
from vaguemestre.providers.oauth2.grants import Credentials
from vaguemestre.smtp.hop import NextHop

_DEFAULTS: dict[str, Any] = {
    "name": "", "name_key": "", "sender_email": "", "sender_ascii": "", "sender_name": "", "reply_to": "",
    "host": "", "auth": AuthKind.NONE.value, "login": "", "active": True, "is_default": False,
    "allowed_senders": [], "backup_id": None, "pinned_certificate": "", "source_address": "",
    **dict.fromkeys(fields.LIMITS),
}  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """Typed values, sound enough to be verified.

    Attributes:
        hop: where to dial and how; with the typed secret, or the stored one where it is still bound (L8).
        fingerprint: of all that, for `verifications.keep`.
        connection: the saved connection that the values belong to, if any.
        account: of OAuth 2.0; None without one.
        credentials: of it as typed; None where those count that are stored with the connection.
    """

    hop: NextHop
    fingerprint: str
    connection: Connection | None
    account: Account | None = None
    credentials: Credentials | None = None


def draft(values: fields.Values, uid: str | None = None) -> Draft:
    """Typed values as something to verify. Nothing is saved, and a name is not needed.

    Raises:
        Missing, Refusal: the faults; code `password_again` where the stored secret is not bound any more.
    """
    existing = find(uid) if uid else None
    state, secret, faults = checked(existing, values, required=("sender_email", "host"))
    if faults:
        raise Refusal(*faults)
    connection = Connection(**columns(state))
    if connection.auth == AuthKind.OAUTH2:
        return _draft_with_token(connection, existing, state["oauth2"])
    used = secret if secret is not None else _kept_secret(existing, state)
    return Draft(hops.hop(connection, used), hops.fingerprint(connection, used), existing)


def saved_draft(connection: Connection) -> Draft:
    """A saved connection as something to verify: how to sign in is then chosen anew."""
    account = oauth2.account_of(connection) if connection.auth == AuthKind.OAUTH2 else None
    secret = None if connection.auth == AuthKind.OAUTH2 else vault.secret_of(connection)
    hop = replace(hops.hop(connection, secret), mechanism="")
    return Draft(hop, saved_fingerprint(connection), connection, account)


def saved_fingerprint(connection: Connection) -> str:
    """Of a connection as it is saved.

    Raises:
        vault.KeyMissing, vault.Unreadable: its secret cannot be had.
    """
    stored = vault.secret_of(connection)
    if connection.auth != AuthKind.OAUTH2:
        return hops.fingerprint(connection, stored)
    further, secret = oauth2.identity(oauth2.account_of(connection), oauth2.kept_of(connection))
    return hops.fingerprint(connection, secret, further)


def _draft_with_token(connection: Connection, existing: Connection | None, typed: Typed) -> Draft:
    """Something to verify that signs in with a token, which is asked for then."""
    kept = typed.kept
    if kept is not None and kept.credentials.refresh_token:
        message = "Save this first, then verify it: a trial could use the consent up."
        raise Refusal(Invalid("oauth2", "oauth2_save_first", message))
    if kept is None:
        kept = Kept() if existing is None or typed.account is None else _kept_of(existing)
    further, secret = oauth2.identity(typed.account, kept)
    fingerprint = hops.fingerprint(connection, secret, further)
    credentials = None if typed.kept is None else typed.kept.credentials
    return Draft(hops.hop(connection, None), fingerprint, existing, typed.account, credentials)


def _kept_of(connection: Connection) -> Kept:
    try:
        return oauth2.kept_of(connection)
    except vault.Unreadable:
        message = "The stored secret cannot be read any more: set up OAuth2 again."
        raise Refusal(Invalid("oauth2", "oauth2_unreadable", message)) from None


def checked(
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
    given = state.pop("oauth2", None)
    if "auth" not in values:
        state["auth"] = _auth_kind(state, password, existing, clear=clear)
        if given is not None or (existing is not None and existing.auth == AuthKind.OAUTH2 and not password):
            state["auth"] = AuthKind.OAUTH2.value
    _resolve_backup(existing, state, faults)
    if not state["active"] and values.get("is_default") is not True:
        state["is_default"] = False  # who follows is settled by the caller's choice of a successor
    if not faulty & {"encryption", "host", "active", "is_default"}:
        faults += fields.cross_check(state)
    if not faulty & {*BOUND, "password"}:
        by_token = state["auth"] == AuthKind.OAUTH2
        faults += (
            _faults_beside_a_token(state, password)
            if by_token
            else _password_faults(existing, state, password, clear=clear)
        )
    state["oauth2"] = Typed()
    if state["auth"] == AuthKind.OAUTH2 and not faulty & {*BOUND, "sender_email"}:
        state["oauth2"], more = oauth2_typed.checked(existing, given, state, clear=clear)
        faults += more
    elif given is not None:
        message = "There is an account of OAuth2, but another kind of authentication: leave out one of them."
        faults.append(Invalid("oauth2", "oauth2_contradicts", message))
    return state, Secret(password) if password else None, faults


def _auth_kind(state: fields.Clean, password: str, existing: Connection | None, *, clear: bool) -> str:
    kept = existing is not None and existing.auth == AuthKind.PASSWORD and not clear
    return AuthKind.PASSWORD.value if state["login"] or password or kept else AuthKind.NONE.value


def _password_faults(
    existing: Connection | None, state: fields.Clean, password: str, *, clear: bool
) -> list[Invalid]:
    has_secret = existing is not None and vault_has(existing) and not clear
    ends = existing is not None and existing.auth == AuthKind.OAUTH2 and state["auth"] == AuthKind.NONE
    if has_secret and not password and not ends and _moved(existing, state):
        message = "The server, port, encryption, login or certificate changed: type the password again."
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


def _faults_beside_a_token(state: fields.Clean, password: str) -> list[Invalid]:
    faults = []
    if password:
        message = "With OAuth2 there is no password: leave it empty."
        faults.append(Invalid("password", "oauth2_no_password", message))
    if not state["login"]:
        message = "OAuth2 needs the address of the mailbox as login."
        faults.append(Invalid("login", "oauth2_login_missing", message))
    return faults


def _moved(existing: Connection | None, state: fields.Clean) -> bool:
    """Whether a value changed that the stored secret is bound to (L8)."""
    return existing is not None and any(getattr(existing, field) != state[field] for field in BOUND)


def vault_has(connection: Connection) -> bool:
    """Whether a secret is stored for the connection."""
    return vault.has(connection)


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


def name_taken(state: fields.Clean, existing: Connection | None) -> list[Invalid]:
    """The fault of a name that another connection has."""
    taken = Connection.objects.filter(name_key=state["name_key"], deleted_at=None)
    if state["name_key"] and taken.exclude(pk=existing.pk if existing else 0).exists():
        message = "Another connection has this name; choose a different one."
        return [Invalid("name", "name_taken", message)]
    return []


def _attributes(connection: Connection) -> fields.Clean:
    return {column: getattr(connection, column) for column in (*_DEFAULTS, "port", "encryption")}


def columns(state: fields.Clean) -> fields.Clean:
    """What of a state the connection's row keeps."""
    return {column: state[column] for column in (*_DEFAULTS, "port", "encryption")}
