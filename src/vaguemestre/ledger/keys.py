"""API keys: how a submitter is known (RFC 6409 §4.3, RFC 6750).

A key is `vgm_` + 12 characters by which it is found + `_` + 43 characters of secret. Its SHA-256 is kept, and
compared in constant time; the key itself is shown once. A process trusts a key that only sends and reads for
five seconds after it was checked, and not beyond a revocation of its own (`known_keys`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from vaguemestre.ledger import journal
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.known_keys import KnownKeys
from vaguemestre.ledger.models import ApiKey, Stream
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.policy.routing import parse_allowed_sender

SCOPES = ("send", "read", "connections", "admin")
PREFIX = "vgm_"
_SHAPE = re.compile(r"vgm_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
_SEEN_EVERY = timedelta(minutes=1)
_NO_DIGEST = hashlib.sha256(b"no such key").hexdigest()
# A key that may change settings, or make another key, is worth a look at every request.
_LASTING = frozenset({"connections", "admin"})
_known = KnownKeys()


def create(  # noqa: PLR0913  what a key may be limited to, each by its name
    name: str,
    scopes: Sequence[str],
    actor: str,
    now: datetime,
    *,
    streams: Sequence[str] = (),
    senders: Sequence[str] = (),
    networks: Sequence[str] = (),
    dsn: bool = True,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is not kept; `dsn` has failures reported of what it hands over by SMTP.

    Raises:
        Refusal: the faults, each at its field.
    """
    allowed, faults = _allowed(senders)
    faults = [*_faults(name, scopes, streams, networks), *faults]
    if faults:
        raise Refusal(*faults)
    prefix = PREFIX + secrets.token_hex(6)
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    with writing():
        key = ApiKey.objects.create(
            name=name, prefix=prefix, digest=_digest(text), scopes=sorted(set(scopes)), streams=list(streams),
            senders=allowed, networks=[str(ip_network(network)) for network in networks], dsn=dsn,
            created_at=now,
        )  # fmt: skip
        changes = {
            "name": name,
            "scopes": key.scopes,
            "streams": key.streams,
            "senders": key.senders,
            "networks": key.networks,
            "dsn": dsn,
        }
        journal.record("key", str(key.uid), "created", actor, now, changes)
    return key, text


def authenticate(text: str, now: datetime) -> ApiKey | None:
    """The key that `text` is, unless it was revoked. Takes the same time for unknown and wrong ones.

    What does not even look like a key is none: the databases cannot look for every text.
    """
    if not _SHAPE.fullmatch(text):
        return None
    digest = _digest(text)
    key = _known.get(digest, now) or _looked_up(text, digest, now)
    if key is not None:
        _note_use(key, now)
    return key


def _looked_up(text: str, digest: str, now: datetime) -> ApiKey | None:
    began = _known.forgotten
    key, right = _of_prefix(text, digest)
    if key is None or not right or key.revoked_at is not None:
        return None
    if _LASTING.isdisjoint(key.scopes):
        _known.keep(digest, key, now, began)
    return key


def _of_prefix(text: str, digest: str) -> tuple[ApiKey | None, bool]:
    """The key with the prefix of `text`, and whether the rest is right; as long where there is none."""
    key = ApiKey.objects.filter(prefix=text[: len(PREFIX) + 12]).first()
    return key, hmac.compare_digest(key.digest if key else _NO_DIGEST, digest)


def why_not(text: str) -> tuple[str, str | None]:
    """Of what `authenticate` does not take: `revoked` or `unknown`, and the prefix where a key has that.

    For a log. A submitter is told neither.
    """
    if not _SHAPE.fullmatch(text):
        return "unknown", None
    key, right = _of_prefix(text, _digest(text))
    if key is None:
        return "unknown", None
    return ("revoked" if right and key.revoked_at is not None else "unknown"), key.prefix


def _note_use(key: ApiKey, now: datetime) -> None:
    """When it was last used, at most once a minute."""
    if key.last_used_at is not None and now - key.last_used_at <= _SEEN_EVERY:
        return
    key.last_used_at = now  # first, so that of many threads that hold this key one goes on
    with writing():  # on SQLite a statement of its own would stand behind every writer that has the lock
        unseen = Q(last_used_at=None) | Q(last_used_at__lt=now - _SEEN_EVERY)
        ApiKey.objects.filter(unseen, pk=key.pk).update(last_used_at=now)


def all_keys() -> list[ApiKey]:
    """All, the newest first; revoked ones too."""
    return list(ApiKey.objects.order_by("-id"))


def revoke(uid: str, actor: str, now: datetime) -> ApiKey:
    """Make a key worthless, for good.

    Raises:
        Missing: there is no such key.
    """
    try:
        key = ApiKey.objects.filter(uid=UUID(uid)).first()
    except ValueError:
        key = None
    if key is None:
        raise Missing("key", uid)
    with writing():
        if key.revoked_at is None:
            key.revoked_at = now
            key.save()
            journal.record("key", str(key.uid), "revoked", actor, now, {})
        # At once for the rest of this transaction, and again for what others read before its commit.
        _known.forget_all()
        transaction.on_commit(_known.forget_all)
    return key


def resource(key: ApiKey) -> dict[str, Any]:
    """A key as the API shows it, without its text."""
    return {
        "id": str(key.uid),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "streams": key.streams,
        "senders": key.senders,
        "networks": key.networks,
        "dsn": key.dsn,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def _faults(
    name: str, scopes: Sequence[str], streams: Sequence[str], networks: Sequence[str]
) -> list[Invalid]:
    faults = []
    if not name.strip() or len(name) > 100 or not name.isprintable():
        code = "too_long" if len(name) > 100 else "name_empty"
        faults.append(Invalid("name", code, "Give the key a name of at most 100 characters."))
    if not scopes or not set(scopes) <= set(SCOPES):
        faults.append(Invalid("scopes", "scope_unknown", f"Choose from: {', '.join(SCOPES)}."))
    known = set(Stream.objects.filter(key__in=streams).values_list("key", flat=True))
    faults += [
        Invalid("streams", "stream_unknown", f"There is no stream {stream}.", {"typed": stream})
        for stream in streams
        if stream not in known
    ]
    faults += [
        Invalid(
            "networks",
            "network_syntax",
            f"{network} is not a network such as 192.0.2.0/24.",
            {"typed": network},
        )
        for network in networks
        if not _is_network(network)
    ]
    return faults


def _allowed(senders: Sequence[str]) -> tuple[list[str], list[Invalid]]:
    allowed, faults = [], []
    for sender in senders:
        try:
            allowed.append(parse_allowed_sender(sender, "senders"))
        except Invalid as fault:
            faults.append(Invalid(fault.field, fault.code, fault.message, {"typed": sender}))
    return allowed, faults


def _is_network(text: str) -> bool:
    try:
        return bool(ip_network(text))
    except ValueError:
        return False


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
