"""An examination for people: its points in the active language, and the body that the API answers with."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from vaguemestre.deliverability.examination import Examination
from vaguemestre.deliverability.texts import ALIGNED, TEXTS, UNREAD
from vaguemestre.policy.deliverability import Code, Point
from vaguemestre.policy.finding import Severity
from vaguemestre.verification.wording import who_text

_SHOWN = 400  # characters of a fact that somebody else wrote


def told(point: Point) -> dict[str, Any]:
    """A point in words. Facts are put in as text: whoever shows the words escapes them."""
    text = TEXTS[point.code]
    facts = {name: _short(value) for name, value in point.facts.items()}
    why = gettext(text.why) % facts
    if point.code is Code.DMARC_OK and facts.get("aligned"):
        why = f"{why} {gettext(ALIGNED) % facts}"
    if facts.get("unread"):
        why = f"{why} {gettext(UNREAD) % facts}"
    record = point.record
    return {
        "code": point.code.value,
        "subject": point.code.subject.value,
        "severity": point.severity.value,
        "what": gettext(text.what) % facts,
        "why": why,
        "remedy": gettext(text.remedy) % facts if text.remedy else "",
        "who": point.who.value,
        "who_text": who_text(point.who) if point.severity is not Severity.INFO else "",
        "record": None
        if record is None
        else {"name": record.name, "type": record.type, "value": record.value},
    }


def as_json(examination: Examination) -> dict[str, Any]:
    """The body of `GET /connections/{id}/deliverability`."""
    return {"domain": examination.domain, "points": [told(point) for point in examination.points]}


def _short(text: str) -> str:
    """Records are anybody's: bounded, and without what is no character."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
