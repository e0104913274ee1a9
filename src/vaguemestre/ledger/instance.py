"""Facts of this installation: the default's mode, the routing epoch, the first administrator's link.

Whatever changes the answer of routing calls `bump` inside its transaction (L3); `configuration` is what
routing sees. `routing` keeps it for acceptance from one epoch to the next.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import F

from vaguemestre.ledger import journal, wake
from vaguemestre.ledger.database import lock, rows, writing
from vaguemestre.ledger.models import Connection, Instance, User
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.routing import Configuration, ConnectionFacts, Mode

CONFIGURATION_LOCK = 0x5667_0001  # advisory: changes of the configuration are one at a time
ROUTING_LOCK = 0x5667_0007  # advisory, behind it; marks share it, changes of routes do not

_SETTINGS = ("default_mode", "renew_verifications")
_EPOCH = "SELECT routing_epoch FROM ledger_instance"


def epoch() -> int:
    """The routing epoch now."""
    (found,) = rows(_EPOCH, {})
    return int(found["routing_epoch"])


def bump() -> None:
    """Make every earlier route stale. Runs inside the transaction of what changed; couriers route anew."""
    lock(ROUTING_LOCK)
    Instance.objects.update(routing_epoch=F("routing_epoch") + 1)
    wake.ring()


def lock_routing() -> None:
    """Have both locks before a connection or the instance is changed: a mark that waits for those has one."""
    lock(CONFIGURATION_LOCK)
    lock(ROUTING_LOCK)


@contextmanager
def alone() -> Iterator[None]:
    """One transaction, during which nobody else changes the configuration."""
    with writing():
        lock_routing()
        yield


def configuration() -> Configuration:
    """The connections and the mode as routing sees them."""
    mode = Mode(Instance.objects.values_list("default_mode", flat=True).get())
    connections = Connection.objects.filter(deleted_at=None).order_by("id")
    return Configuration(mode, tuple(_facts(connection) for connection in connections))


def _facts(connection: Connection) -> ConnectionFacts:
    return ConnectionFacts(
        id=connection.pk,
        name=connection.name,
        sender=Mailbox.parse(connection.sender_ascii),
        sender_name=connection.sender_name,
        reply_to=connection.reply_to,
        active=connection.active,
        is_default=connection.is_default,
        allowed_senders=tuple(connection.allowed_senders),
        created=connection.pk,
        backup=connection.backup_id,
    )


class RulingKind(StrEnum):
    """Which rule decides for most messages now."""

    DEFAULT = "default"
    FALLBACK = "fallback"
    ONLY = "only"
    SEVERAL = "several"
    NONE = "none"


@dataclass(frozen=True)
class Ruling:
    """The sentence above the list of connections, as a value."""

    kind: RulingKind
    connection: Connection | None


def ruling() -> Ruling:
    """Which rule decides now, and for which connection."""
    active = list(Connection.objects.filter(active=True).order_by("id"))
    default = next((connection for connection in active if connection.is_default), None)
    if default is not None:
        overrides = settings()["default_mode"] == Mode.OVERRIDE
        return Ruling(RulingKind.DEFAULT if overrides else RulingKind.FALLBACK, default)
    if len(active) == 1:
        return Ruling(RulingKind.ONLY, active[0])
    return Ruling(RulingKind.SEVERAL if active else RulingKind.NONE, None)


def settings() -> dict[str, object]:
    """The instance's visible settings."""
    return dict(Instance.objects.values(*_SETTINGS).get())


def change_settings(values: Mapping[str, object], actor: str, now: datetime) -> dict[str, object]:
    """Change them.

    Raises:
        Refusal: an unknown setting, or a value that it does not take.
    """
    faults = [fault for name, value in values.items() if (fault := _setting_fault(name, value)) is not None]
    if faults:
        raise Refusal(*faults)
    with writing():
        lock_routing()
        before = settings()
        changes = journal.difference(before, before | dict(values))
        if changes:
            Instance.objects.update(**{name: values[name] for name in changes})
            journal.record("setting", "instance", "changed", actor, now, changes)
        if "default_mode" in changes:
            bump()
    return settings()


def mode_of(value: object) -> Mode:
    """What a default sender is to mean.

    Raises:
        Refusal: it is none of both.
    """
    fault = _setting_fault("default_mode", value)
    if fault is not None:
        raise Refusal(fault)
    return Mode(str(value))


def _setting_fault(name: str, value: object) -> Invalid | None:
    if name not in _SETTINGS:
        return Invalid(name, "unknown_field", f"There is no setting {name}.")
    if name == "default_mode":
        known = isinstance(value, str) and value in {*Mode}
        return None if known else Invalid(name, "mode_unknown", "Choose override or fallback.")
    return None if isinstance(value, bool) else Invalid(name, "not_boolean", "This is either true or false.")


def new_setup_token() -> str | None:
    """A one-time token for the first administrator; it replaces the one before. None once there is one."""
    if User.objects.exists():
        return None
    token = secrets.token_urlsafe(24)
    Instance.objects.update(setup_digest=_digest(token))
    return token


def setup_token_valid(token: str) -> bool:
    """Whether the token opens the first administrator's page."""
    kept = Instance.objects.values_list("setup_digest", flat=True).get()
    return bool(kept) and not User.objects.exists() and hmac.compare_digest(kept, _digest(token))


def create_first_administrator(token: str, email: str, password: str, language: str) -> User | None:
    """The first person, if the token is right and nobody was faster; it is used up."""
    with writing():
        lock(CONFIGURATION_LOCK)
        if not setup_token_valid(token):
            return None
        Instance.objects.update(setup_digest="")
        return User.objects.create_user(email, password, language=language, is_superuser=True, is_staff=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
