"""Templates: the stored ones, before the starters of the package, and the mail that they make with data.

`render` is what every sender of ours uses. Which template it takes: in the language that is asked for, else
in its main language (`fr` for `fr-CA`), else the installation's, else English, else any; and in each of these
the stream's own before the one for all, and that before the starter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from vaguemestre.ledger import journal, streams
from vaguemestre.ledger.database import lock, storable, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import Form, Stream, Template, User
from vaguemestre.ledger.referrers import FORM_STREAM
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.templating import starters
from vaguemestre.templating.fault import Fault
from vaguemestre.templating.rendering import Rendered, Sources, compose, faults_of

_KEY = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Z]{2})?")
_OF_THE_TEMPLATE = frozenset({
    "template_syntax", "template_missing", "template_misplaced", "template_filter", "template_range",
    "template_long",
})  # fmt: skip
PARTS = ("subject", "text", "html")


@dataclass(frozen=True)
class Found:
    """A template as it would be used.

    Attributes:
        stream: the key of the stream it is for; "" for all.
        version: 0 for a starter.
        replaces: whether there is a starter behind it, or it is one.
    """

    key: str
    stream: str
    language: str
    sources: Sources
    version: int = 0
    updated_at: datetime | None = None
    replaces: bool = False

    @property
    def stored(self) -> bool:
        """Whether it is one's own, and no starter."""
        return self.version > 0


@dataclass(frozen=True)
class Checked:
    """A template that may be stored, for all streams where it names none."""

    key: str
    language: str
    stream: Stream | None
    sources: Sources


def render(key: str, language: str, data: Mapping[str, object], stream: str = "") -> Rendered:
    """The mail that a template and data make, in the best language there is.

    Raises:
        Missing: there is no template of that key.
        Refusal: the template or the data is at fault, with the line.
    """
    found = best(key, language, stream)
    try:
        return compose(found.sources, data, found.language)
    except Fault as fault:
        raise Refusal(_as_invalid(fault, found)) from None


def render_starter(key: str, language: str, data: Mapping[str, object]) -> Rendered:
    """The same from the template that came with the product, whatever is stored."""
    there = starters.languages(key)
    used = next(one for one in (*_preferred(language), *there) if one in there)
    return compose(_starter(key, used).sources, data, used)


def best(key: str, language: str = "", stream: str = "") -> Found:
    """The template that would be used.

    Raises:
        Missing: there is none of that key.
    """
    there = [one for one in of_key(key) if one.stream in {"", stream}]
    if not there:
        raise Missing("template", key)
    for wanted in _preferred(language):
        for one in sorted(there, key=lambda one: not one.stream):
            if one.language == wanted:
                return one
    return there[0]


def _preferred(language: str) -> tuple[str, ...]:
    return language, language.partition("-")[0], settings.LANGUAGE_CODE, "en"


def of_key(key: str) -> list[Found]:
    """All of a key, by stream and language; a starter whose place is taken is not among them."""
    rows = Template.objects.select_related("stream").filter(key=key) if storable(key) else ()
    stored = {(one.stream, one.language): one for one in map(_found, rows)}
    given = {("", language): _starter(key, language) for language in starters.languages(key)}
    return [one for _, one in sorted({**given, **stored}.items())]


def all_templates() -> list[Found]:
    """All, by key, stream and language."""
    keys = {*Template.objects.values_list("key", flat=True), *starters.all_keys()}
    return [one for key in sorted(keys) for one in of_key(key)]


def find(key: str, language: str, stream: str = "") -> Found:
    """Exactly this one.

    Raises:
        Missing: there is none.
    """
    for one in of_key(key):
        if (one.stream, one.language) == (stream, language):
            return one
    raise Missing("template", f"{key} ({language})")


def save(key: str, language: str, values: Mapping[str, object], actor: str, now: datetime) -> Found:
    """Store a template in place of what was there; `values` has subject, text, html, and stream or none.

    Raises:
        Refusal: the faults, each at its part and with its line.
    """
    return store(checked(key, language, values), actor, now)


def store(wanted: Checked, actor: str, now: datetime) -> Found:
    """Store what was checked before: to check takes a second for the longest, during which nobody waits."""
    key, language, stream, sources = wanted.key, wanted.language, wanted.stream, wanted.sources
    with writing():
        lock(CONFIGURATION_LOCK)
        row = Template.objects.filter(key=key, stream=stream, language=language).first()
        before = {} if row is None else {part: getattr(row, part) for part in PARTS}
        row = row or Template(key=key, stream=stream, language=language, version=0)
        after = {part: getattr(sources, part) for part in PARTS}
        changed = [part for part in PARTS if before.get(part) != after[part]]
        if changed:
            for part, source in after.items():
                setattr(row, part, source)
            row.version, row.updated_at = row.version + 1, now
            row.save()
            action = "changed" if before else "created"
            journal.record(
                "template", _subject(key, language, stream), action, actor, now, {"parts": changed}
            )
    return _found(row)


def delete(key: str, language: str, stream: str, actor: str, now: datetime) -> None:
    """Remove a stored template; a starter behind it takes its place again.

    Raises:
        Missing: it is not stored.
        Conflict: forms reply by it, and none of its key would be left.
    """
    with writing():
        lock(CONFIGURATION_LOCK)
        rows = Template.objects.filter(key=key, language=language) if storable(key + language) else None
        row = None if rows is None else rows.filter(stream__key=stream or None).first()
        if row is None:
            raise Missing("template", f"{key} ({language})")
        row.delete()
        _refuse_dangling(key)
        journal.record("template", _subject(key, language, row.stream), "deleted", actor, now, {})


def _refuse_dangling(key: str) -> None:
    forms = list(Form.objects.filter(template=key).order_by("name").values_list("name", flat=True))
    if forms and not any(not one.stream or one.stream == FORM_STREAM for one in of_key(key)):
        names = ", ".join(forms)
        message = f"Forms reply by this template: {names}. Choose another one for them first."
        raise Conflict("template_in_use", message, {"forms": names})


def language_of(recipient: str) -> str:
    """The language of a recipient who is one of our people; "" where nothing is known."""
    return User.objects.filter(email__iexact=recipient).values_list("language", flat=True).first() or ""


def resource(found: Found) -> dict[str, Any]:
    """A template as the API shows it."""
    return {
        "key": found.key,
        "stream": found.stream or None,
        "language": found.language,
        "subject": found.sources.subject,
        "text": found.sources.text,
        "html": found.sources.html,
        "version": found.version,
        "updated_at": found.updated_at,
        "built_in": not found.stored,
    }


def preview(sources: Sources, data: Mapping[str, object], language: str) -> Rendered:
    """What sources would make, saved or not.

    Raises:
        Refusal: the fault, at its part and line.
    """
    faults = faults_of(sources)
    if faults:
        raise Refusal(*map(_at_part, faults))
    try:
        return compose(sources, data, language)
    except Fault as fault:
        raise Refusal(_at_part(fault)) from None


def _at_part(fault: Fault) -> Invalid:
    return Invalid(fault.part, fault.code, fault.message, fault.facts)


def _as_invalid(fault: Fault, found: Found) -> Invalid:
    """At the template where that is at fault by itself, else at the data; it names part and line."""
    field = "template" if fault.code in _OF_THE_TEMPLATE else "data"
    where = f"{found.key} ({found.language}), {fault.part}"
    return Invalid(field, fault.code, f"Template {where}: {fault.message}", {**fault.facts, "where": where})


def checked(key: str, language: str, values: Mapping[str, object]) -> Checked:
    """What `store` takes.

    Raises:
        Refusal: the faults, each at its part and with its line.
    """
    faults = [
        Invalid(name, "unknown_field", f"A template has no field {name}.")
        for name in values
        if name not in {*PARTS, "stream"}
    ]
    if not _KEY.fullmatch(key):
        faults.append(
            Invalid("key", "template_key", "A template's key is of small letters, digits and hyphens.")
        )
    if not _LANGUAGE.fullmatch(language):
        faults.append(Invalid("language", "template_language", "A language looks like fr or pt-BR."))
    texts = {part: values.get(part) or "" for part in PARTS}
    faults += [
        Invalid(part, "not_text", "Text is needed here.")
        for part, text in texts.items()
        if not isinstance(text, str) or not storable(text)
    ]
    if faults:
        raise Refusal(*faults)
    sources = Sources(**{part: str(text).replace("\r\n", "\n") for part, text in texts.items()})
    faults = [*map(_at_part, faults_of(sources))]
    if faults:
        raise Refusal(*faults)
    return Checked(key, language, _stream(values.get("stream")), sources)


def _stream(key: object) -> Stream | None:
    if key is None or key == "":
        return None
    try:
        return streams.find(str(key))
    except Missing as missing:
        raise Refusal(Invalid("stream", "stream_unknown", str(missing), {"key": str(key)})) from None


def _found(row: Template) -> Found:
    sources = Sources(row.subject, row.text, row.html)
    stream = "" if row.stream is None else row.stream.key
    replaces = not stream and row.language in starters.languages(row.key)
    return Found(row.key, stream, row.language, sources, row.version, row.updated_at, replaces)


def _starter(key: str, language: str) -> Found:
    sources = starters.starter(key, language)
    if sources is None:
        raise Missing("template", key)
    return Found(key, "", language, sources, replaces=True)


def _subject(key: str, language: str, stream: Stream | None) -> str:
    return f"{key} {language}" + ("" if stream is None else f" {stream.key}")
