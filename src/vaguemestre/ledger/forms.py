"""Forms: what they ask, whom they tell, how they answer, what they take in an hour.

A form's connection counts as named by each of its messages (L4); a default overrides it, and its Reply-To
too. One validation for console, API and command line: every fault at its field, nothing repaired.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from vaguemestre.ledger import connections, journal, templates
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.lookup import keyed
from vaguemestre.ledger.models import Form
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.form_field import Field, Kind, parse_fields

NOTIFIED = 20  # addresses
ORIGINS = 50
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is read for something else
_KEY = re.compile(r"[a-z0-9]{8,40}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Z]{2})?")
_URL = re.compile(r"https?://[!-~]+")

type Clean = dict[str, Any]


def all_forms() -> list[Form]:
    """All, by name."""
    return sorted(Form.objects.select_related("connection"), key=lambda form: form.name.casefold())


def find(key: str) -> Form:
    """The form of that key.

    Raises:
        Missing: there is none.
    """
    return keyed(Form.objects.select_related("connection"), "form", key)


def create(values: Mapping[str, object], actor: str, now: datetime) -> Form:
    """A new form, under a key that nobody guesses.

    Raises:
        Refusal: the faults, each at its field.
    """
    return _save(None, values, actor, now)


def edit(key: str, values: Mapping[str, object], actor: str, now: datetime) -> Form:
    """Change the named values of a form.

    Raises:
        Missing, Refusal: the faults, each at its field.
    """
    return _save(find(key), values, actor, now)


def restore(key: str, values: Mapping[str, object], actor: str, now: datetime, *, replace: bool) -> Form:
    """A form under the key that it had elsewhere; one that is there takes the values where that is wanted.

    Raises:
        Refusal: the faults, each at its field; `form_taken` at `key`.
    """
    if not _KEY.fullmatch(key):
        raise Refusal(Invalid("key", "form_key", "A form's key is of 8 to 40 small letters and digits."))
    existing = Form.objects.filter(key=key).first()
    if existing is not None and not replace:
        message = f"There is already a form {key}: delete it, or replace what has the same name."
        raise Refusal(Invalid("key", "form_taken", message))
    return _save(existing, values, actor, now, key)


def delete(key: str, actor: str, now: datetime) -> None:
    """Delete a form with all that came in through it; its messages stay.

    Raises:
        Missing: there is none.
    """
    with writing():
        lock(CONFIGURATION_LOCK)
        form = find(key)
        form.delete()
        journal.record("form", key, "deleted", actor, now, {"name": form.name})


def fields_of(form: Form) -> tuple[Field, ...]:
    """Its fields, in order."""
    return tuple(Field.stored(values) for values in form.fields)


def address_of(form: Form) -> str:
    """Where it is posted to."""
    return f"{settings.ENVIRONMENT.base_url}/f/{form.key}"


def resource(form: Form) -> dict[str, Any]:
    """A form as the API shows it."""
    plain = ("key", "name", "active", "reply_to", "notify", "replies", "quotes", "template", "languages",
             "origins", "thanks_url", "token_required", "per_address", "per_hour", "retention_days",
             "created_at")  # fmt: skip
    return {name: getattr(form, name) for name in plain} | {
        "address": address_of(form),
        "fields": [field.as_json() for field in fields_of(form)],
        "connection": None if form.connection is None else str(form.connection.uid),
    }


def _save(
    existing: Form | None, values: Mapping[str, object], actor: str, now: datetime, key: str = ""
) -> Form:
    with writing():
        lock(CONFIGURATION_LOCK)
        form = _new(now, key) if existing is None else find(existing.key)  # as it is under the lock
        clean = _parse(values, form)
        before = {column: getattr(form, column) for column in clean}
        for column, value in clean.items():
            setattr(form, column, value)
        _agree(form)
        form.save()
        changes = journal.difference({} if existing is None else before, clean)
        if changes:
            action = "created" if existing is None else "changed"
            journal.record("form", form.key, action, actor, now, changes)
    return find(form.key)


def _new(now: datetime, key: str) -> Form:
    key = key or "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return Form(key=key, name="", fields=[], languages=[settings.LANGUAGE_CODE], created_at=now)


def _parse(values: Mapping[str, object], form: Form) -> Clean:
    new = {} if form.pk else {"name": "", "fields": []}
    clean: Clean = {}
    faults: list[Invalid] = []
    for field, value in (new | dict(values)).items():
        parser = _PARSERS.get(field)
        try:
            if parser is None:
                raise Invalid(field, "unknown_field", f"A form has no field {field}.")  # noqa: TRY301
            clean |= parser(value)
        except Invalid as fault:
            faults.append(fault)
    if faults:
        raise Refusal(*faults)
    return clean


def _agree(form: Form) -> None:
    """What is wrong with values that are each right."""
    kinds = {field.kind for field in fields_of(form)}
    faults = []
    if form.replies and Kind.EMAIL not in kinds:
        message = "A reply needs a field for the visitor's email address."
        faults.append(Invalid("replies", "form_reply_address", message))
    if Kind.FILE in kinds and not form.notify:
        message = "Files travel with the notification: name somebody to notify."
        faults.append(Invalid("notify", "form_files_notify", message))
    if faults:
        raise Refusal(*faults)


def _name(value: object) -> Clean:
    if not isinstance(value, str) or not value.strip() or len(value) > 100 or not value.isprintable():
        raise Invalid("name", "form_name", "Give the form a name of at most 100 characters.")
    return {"name": value.strip()}


def _fields(value: object) -> Clean:
    return {"fields": [field.as_json() for field in parse_fields(value)]}


def _connection(value: object) -> Clean:
    if value is None or value == "":
        return {"connection_id": None}
    try:
        return {"connection_id": connections.find(str(value)).pk}
    except Missing as missing:
        raise Invalid("connection", "connection_unknown", str(missing)) from None


def _reply_to(value: object) -> Clean:
    return {"reply_to": _address(value, "reply_to") if value else ""}


def _notify(value: object) -> Clean:
    found = [_address(one, "notify") for one in _texts(value, "notify", NOTIFIED)]
    return {"notify": list(dict.fromkeys(found))}


def _address(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise Invalid(field, "not_text", "Text is needed here.")
    return Mailbox.parse(value, field).address


def _template(value: object) -> Clean:
    try:
        return {"template": templates.best(str(value)).key}
    except Missing as missing:
        raise Invalid("template", "template_unknown", str(missing)) from None


def _languages(value: object) -> Clean:
    found = _texts(value, "languages", 20)
    if not found or not all(map(_LANGUAGE.fullmatch, found)):
        raise Invalid("languages", "form_languages", "Name at least one language, such as fr or pt-BR.")
    return {"languages": list(dict.fromkeys(found))}


def _origins(value: object) -> Clean:
    return {"origins": list(dict.fromkeys(map(origin, _texts(value, "origins", ORIGINS))))}


def origin(text: str) -> str:
    """A site as a browser names it (RFC 6454 §6.2).

    Raises:
        Invalid: it is none, at `origins`.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        host = canonical_host(parts.hostname or "", "origins")
    except ValueError:
        raise _no_origin() from None
    if parts.scheme not in {"http", "https"} or parts.path not in {"", "/"} or parts.query or "@" in text:
        raise _no_origin()
    usual = {"http": 80, "https": 443}[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in {None, usual} else f":{port}")


def _no_origin() -> Invalid:
    return Invalid("origins", "form_origin", "A site looks like https://www.example.org, without a path.")


def _thanks_url(value: object) -> Clean:
    if value is None or value == "":
        return {"thanks_url": ""}
    if not isinstance(value, str) or len(value) > 2000 or not _URL.fullmatch(value):
        raise _no_page()
    try:
        parts = urlsplit(value)
        origin(f"{parts.scheme}://{parts.netloc}")  # the visitors' browsers are told that they may go there
    except (ValueError, Invalid):
        raise _no_page() from None
    return {"thanks_url": value}


def _no_page() -> Invalid:
    return Invalid("thanks_url", "form_thanks", "An address of a page looks like https://example.org/merci.")


def _texts(value: object, field: str, most: int) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Invalid(field, "not_texts", "A list of texts is needed here.")
    if len(value) > most:
        raise Invalid(field, "too_many", f"At most {most} of them.")
    return value


def _flag(name: str) -> Callable[[object], Clean]:
    def parse(value: object) -> Clean:
        if not isinstance(value, bool):
            raise Invalid(name, "not_boolean", "This is either true or false.")
        return {name: value}

    return parse


def _number(name: str, most: int) -> Callable[[object], Clean]:
    def parse(value: object) -> Clean:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            facts = {"most": most}
            raise Invalid(name, "form_number", f"Give a whole number from 1 to {most}.", facts)
        return {name: value}

    return parse


_PARSERS: dict[str, Callable[[object], Clean]] = {
    "name": _name,
    "fields": _fields,
    "active": _flag("active"),
    "connection": _connection,
    "reply_to": _reply_to,
    "notify": _notify,
    "replies": _flag("replies"),
    "quotes": _flag("quotes"),
    "template": _template,
    "languages": _languages,
    "origins": _origins,
    "thanks_url": _thanks_url,
    "token_required": _flag("token_required"),
    "per_address": _number("per_address", 10_000),
    "per_hour": _number("per_hour", 100_000),
    "retention_days": _number("retention_days", 3_650),
}
