"""A template as it is typed, what is wrong with it, and what it would make."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from django.http import QueryDict

from vaguemestre.ledger import templates
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.templates import Found
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid
from vaguemestre.templating import starters
from vaguemestre.templating.rendering import Rendered, Sources, sample_of

FIELDS = ("key", "language", "stream", "subject", "text", "html", "sample")


@dataclass(frozen=True)
class Trouble:
    """A fault as the page shows it: at its field, with the line of what was typed."""

    words: str
    line: int = 0
    source: str = ""


@dataclass(frozen=True)
class Draft:
    """What stands in the form."""

    key: str = ""
    language: str = ""
    stream: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    sample: str = "{}\n"
    troubles: Mapping[str, list[Trouble]] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Found) -> Draft:
        """A template that is there."""
        sources = found.sources
        known = found.key in starters.all_keys()
        sample = starters.sample(found.key) if known else _written(sample_of(sources))
        return cls(
            found.key, found.language, found.stream, sources.subject, sources.text, sources.html, sample
        )

    @classmethod
    def typed(cls, form: QueryDict, found: Found | None) -> Draft:
        """What was posted; which template it is, is not for the form to change where there is one."""
        posted = {name: form.get(name, "").replace("\r\n", "\n") for name in FIELDS}
        key, language, stream, subject, text, html, sample = (posted[name] for name in FIELDS)
        if found is not None:
            key, language, stream = found.key, found.language, found.stream
        return cls(key, language, stream, subject, text, html, sample)

    @property
    def sources(self) -> Sources:
        """The template in it."""
        return Sources(self.subject, self.text, self.html)

    def with_troubles(self, faults: Iterable[Invalid]) -> Draft:
        """The same, with what is wrong."""
        troubles: dict[str, list[Trouble]] = {}
        for fault in faults:
            at = {"data": "sample"}.get(fault.field, fault.field)
            troubles.setdefault(at, []).append(self._trouble(fault, at))
        return replace(self, troubles=troubles)

    def rendered(self) -> Rendered:
        """What it makes of the sample data.

        Raises:
            Refusal: the faults, at their fields.
        """
        return templates.preview(self.sources, self._data(), self.language or "en")

    def _data(self) -> Mapping[str, object]:
        try:
            data = json.loads(self.sample or "{}")
        except ValueError as error:
            line = getattr(error, "lineno", 0)
            facts = {"line": line}
            message = f"Line {line}: this is not JSON."
            raise Refusal(Invalid("sample", "template_sample", message, facts)) from None
        if not isinstance(data, dict):
            raise Refusal(Invalid("sample", "template_data", "The data must be an object."))
        return data

    def _trouble(self, fault: Invalid, at: str) -> Trouble:
        line = int(str(fault.facts.get("line", 0)))
        lines = str(getattr(self, at, "")).split("\n")
        source = lines[line - 1].strip() if 0 < line <= len(lines) and at != "subject" else ""
        return Trouble(describe(fault), line, source[:200])


def _written(data: Mapping[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
