"""Takes in a document of `portable`: all of it in one transaction, or nothing.

It is judged as strictly as what people type: unknown fields, a second default, a name that is taken are
refused at their place (`connections[2].name`). Names that are taken are given other values only on request
(`replace`); built-in streams are there anyway and always take the document's. Secrets are sealed anew by this
installation's vault. A connection whose secret is not in the document keeps its login and comes in inactive,
without one: it can be activated once the secret is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from vaguemestre.ledger import connections, forms, instance, report_schedule, source_addresses, streams
from vaguemestre.ledger.connections import LeaveNone
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.fields import name_key
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import Connection, Stream
from vaguemestre.ledger.passphrase import Seal
from vaguemestre.ledger.portable import CONNECTION, FORMAT, VERSION, bound
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret

_PARTS = ("connections", "streams", "forms", "source_addresses")
_OBJECTS = ("settings", "weekly_report")
_TOP = {"format", "version", "exported_at", *_OBJECTS, *_PARTS, "secrets"}
_FIELDS = {*CONNECTION, "backup", "oauth2", "secret"}


@dataclass
class TakenIn:
    """What an import did, by name.

    Attributes:
        incomplete: connections that wait for their secret, inactive.
        demoted: defaults before this import; they stay active.
    """

    created: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    demoted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Manner:
    """How a document is taken in.

    Attributes:
        passphrase: opens its secrets; None where there are none, or they are left out.
        replace: whether what has the same name takes the document's values.
        without_secrets: whether secrets that are in it are left out.
    """

    passphrase: Secret | None = None
    replace: bool = False
    without_secrets: bool = False


def take_in(document: object, manner: Manner, actor: str, now: datetime) -> TakenIn:
    """Import the document.

    Raises:
        Refusal: the faults, each at its place; nothing was changed.
    """
    parts = _judged(document)
    seal = _seal(parts["secrets"], manner)
    taking = _Taking(parts["connections"], seal, manner, actor, now)
    with writing():
        lock(CONFIGURATION_LOCK)
        instance.change_settings(parts["settings"], actor, now)
        taking.connections()
        _each("streams", parts["streams"], taking.stream)
        _each("forms", parts["forms"], taking.form)
        taking.addresses(parts["source_addresses"])
        taking.weekly_report(parts["weekly_report"])
    return taking.done


def _judged(document: object) -> dict[str, Any]:
    """The document's parts, of the right kinds."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise Refusal(Invalid("format", "format_unknown", "This is not an export of Vaguemestre."))
    if document.get("version") != VERSION:
        message = f"This version of Vaguemestre reads exports of version {VERSION}."
        raise Refusal(Invalid("version", "version_unknown", message))
    _known_only(document, _TOP, "")
    parts: dict[str, Any] = {"secrets": document.get("secrets")}
    for name in _OBJECTS:
        parts[name] = document.get(name) or {}
        if not isinstance(parts[name], Mapping):
            raise Refusal(Invalid(name, "not_object", "An object is needed here."))
    for name in _PARTS:
        parts[name] = document.get(name) or []
        if not isinstance(parts[name], list) or not all(isinstance(one, Mapping) for one in parts[name]):
            raise Refusal(Invalid(name, "not_objects", "A list of objects is needed here."))
    for position, connection in enumerate(parts["connections"]):
        _known_only(connection, _FIELDS, f"connections[{position}].")
    _refuse_doubles(parts["connections"])
    return parts


def _known_only(values: Mapping[str, Any], known: set[str], within: str) -> None:
    faults = [
        Invalid(f"{within}{name}", "unknown_field", f"There is no field {name}.")
        for name in values
        if name not in known
    ]
    if faults:
        raise Refusal(*faults)


def _refuse_doubles(told: list[Mapping[str, Any]]) -> None:
    """One default at most, and each name once (L1, I12)."""
    defaults = [position for position, one in enumerate(told) if one.get("is_default")]
    if len(defaults) > 1:
        message = "Two connections are the default sender in this document; at most one can be."
        raise Refusal(Invalid(f"connections[{defaults[1]}].is_default", "two_defaults", message))
    seen: set[str] = set()
    for position, one in enumerate(told):
        key = name_key(str(one.get("name", "")))
        if key in seen:
            message = "Another connection of this document has this name."
            raise Refusal(Invalid(f"connections[{position}].name", "name_taken", message))
        seen.add(key)


def _seal(parameters: object, manner: Manner) -> Seal | None:
    if parameters is None or manner.without_secrets:
        return None
    if manner.passphrase is None:
        message = "Its secrets are sealed: give the passphrase, or leave the secrets out."
        raise Refusal(Invalid("passphrase", "passphrase_missing", message))
    try:
        return Seal.of(parameters, manner.passphrase)
    except Invalid as fault:
        raise Refusal(fault) from None


def _at[T](place: str, do: Callable[[], T]) -> T:
    """Its result; its faults at their place in the document."""
    try:
        return do()
    except Refusal as refusal:
        faults = (fault.at(f"{place}.{fault.field}") for fault in refusal.errors)
        raise Refusal(*faults) from None


def _each(part: str, told: list[Mapping[str, Any]], do: Callable[[Mapping[str, Any]], None]) -> None:
    """All of a part; what is wrong with any of them is told together."""
    faults: list[Invalid] = []
    for position, one in enumerate(told):
        try:
            _at(f"{part}[{position}]", partial(do, one))
        except Refusal as refusal:
            faults += refusal.errors
            if any(fault.code == "passphrase_wrong" for fault in refusal.errors):
                break  # it is the same one for all
    if faults:
        raise Refusal(*faults)


class _Taking:
    """One import under way."""

    def __init__(
        self, told: list[Mapping[str, Any]], seal: Seal | None, manner: Manner, actor: str, now: datetime
    ) -> None:
        self.done = TakenIn()
        self._told, self._seal, self._manner = told, seal, manner
        self._actor, self._now = actor, now
        self._uids: dict[str, str] = {}

    def connections(self) -> None:
        """All of them; then what names another one: backups, and the default last."""
        _each("connections", self._told, self._connection)
        _each("connections", self._told, self._relations)

    def stream(self, told: Mapping[str, Any]) -> None:
        """One stream."""
        key, connection = str(told.get("key", "")), told.get("connection")
        values = {**told, "connection": self._uid(connection) if connection else None}
        existing = Stream.objects.filter(key=key).first()
        if existing is None:
            streams.create(values, self._actor, self._now)
            return
        if not existing.built_in and not self._manner.replace:
            message = f"There is already a stream {key}: delete it, or replace what has the same name."
            raise Refusal(Invalid("key", "stream_taken", message))
        streams.edit(key, values, self._actor, self._now)

    def form(self, told: Mapping[str, Any]) -> None:
        """One form, under its key: what was pasted into sites stays right."""
        connection = told.get("connection")
        values = {name: value for name, value in told.items() if name != "key"}
        values["connection"] = self._uid(connection) if connection else None
        key, replace = str(told.get("key", "")), self._manner.replace
        forms.restore(key, values, self._actor, self._now, replace=replace)

    def addresses(self, told: list[Mapping[str, Any]]) -> None:
        """The list of source addresses; one that is there is replaced only on request."""
        if not told:
            return
        if source_addresses.listed() and not self._manner.replace:
            message = "There is a list of source addresses already: empty it, or replace what is there."
            raise Refusal(Invalid("source_addresses", "addresses_taken", message))
        _at("source_addresses", partial(source_addresses.replace, told, self._actor, self._now))

    def weekly_report(self, told: Mapping[str, Any]) -> None:
        """The schedule of the weekly report; one that was set is changed only on request."""
        now_set = report_schedule.find()
        if not told or report_schedule.settings_of(now_set) == dict(told):
            return
        if now_set.set_at is not None and not self._manner.replace:
            message = "A weekly report is set already: replace what is there, or leave it out."
            raise Refusal(Invalid("weekly_report", "weekly_report_taken", message))
        _at("weekly_report", partial(report_schedule.edit, told, self._actor, self._now))

    def _connection(self, told: Mapping[str, Any]) -> None:
        values = {name: told[name] for name in CONNECTION if name in told and name != "is_default"}
        values |= self._sign_in(told)
        name = str(told.get("name", ""))
        existing = Connection.objects.filter(name_key=name_key(name), deleted_at=None).first()
        if existing is None:
            saved = connections.create(self._complete(values), self._actor, self._now)
            self.done.created.append(name)
        else:
            if not self._manner.replace:
                message = "A connection has this name: rename it, or replace what has the same name."
                raise Refusal(Invalid("name", "name_taken", message))
            saved = connections.edit(str(existing.uid), values, self._actor, self._now, LeaveNone())
            self.done.replaced.append(name)
        self._uids[name] = str(saved.connection.uid)

    def _sign_in(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Its secrets as they are typed, where they are in the document."""
        words = {}
        if "secret" in told and self._seal is not None:
            try:
                words = self._seal.open(told["secret"], bound(told))
            except Invalid as fault:
                raise Refusal(fault) from None
        if told.get("auth") != AuthKind.OAUTH2:
            return words
        return {"oauth2": {**(told.get("oauth2") or {}), **words}}

    def _complete(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values; without a secret that they need, a connection that waits for it."""
        if values.get("auth") == AuthKind.OAUTH2:
            account = values["oauth2"]
            lacks = not {"client_secret", "service_account_key", "refresh_token"} & account.keys()
        else:
            lacks = values.get("auth") == AuthKind.PASSWORD and "password" not in values
        if not lacks:
            return values
        self.done.incomplete.append(str(values.get("name", "")))
        kept = {name: value for name, value in values.items() if name != "oauth2"}
        return kept | {"auth": AuthKind.NONE.value, "active": False}

    def _relations(self, told: Mapping[str, Any]) -> None:
        name = str(told["name"])
        if told.get("backup"):
            # Said again, for one that waits for its secret would be asked for it otherwise.
            auth = connections.find(self._uids[name]).auth
            values = {"backup": self._uid(told["backup"]), "auth": auth}
            connections.edit(self._uids[name], values, self._actor, self._now)
        if told.get("is_default") and name not in self.done.incomplete:
            saved = connections.make_default(self._uids[name], self._actor, self._now)
            self.done.demoted += [one.name for one in saved.demoted]

    def _uid(self, name: object) -> str:
        """Of a connection that the document names; an unknown one is refused where it is used."""
        return self._uids.get(str(name), str(name))
