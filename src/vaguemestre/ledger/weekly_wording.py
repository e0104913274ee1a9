"""The words of the weekly report: the data that the template `report` shows, in the language that is active.

The English texts are the message ids. What is in doubt is told as that, and counted with nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from babel.dates import format_date, format_interval
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext

from vaguemestre.ledger.figures import NOT_SENT, Week
from vaguemestre.ledger.stream_wording import stream_text
from vaguemestre.ledger.wording import state_text
from vaguemestre.mail.state import DeliveryState
from vaguemestre.templating.plot import Ink

_ORDER = (
    DeliveryState.ACCEPTED,
    DeliveryState.REFUSED,
    DeliveryState.EXPIRED,
    DeliveryState.CANCELLED,
    DeliveryState.IN_DOUBT,
    DeliveryState.HELD,
    DeliveryState.QUEUED,
    DeliveryState.CLAIMED,
)
_ALWAYS = frozenset({DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.IN_DOUBT})


@dataclass(frozen=True)
class Plot:
    """A picture of the week, one bar a day.

    Attributes:
        text: all it shows, for who does not see it.
    """

    content_id: str
    title: str
    text: str
    values: tuple[int, ...]
    ink: Ink


def plots(week: Week) -> list[Plot]:
    """What is worth a picture: what was accepted, and what was not if any was not."""
    drawn = [_plot(week, "accepted", {DeliveryState.ACCEPTED}, Ink.GOOD)]
    failed = _plot(week, "failed", NOT_SENT, Ink.BAD)
    return [*drawn, failed] if any(failed.values) else drawn


def data(week: Week, pictures: Iterable[Plot], names: Mapping[str, str]) -> dict[str, Any]:
    """What the template shows; `names` are those of the streams, by key."""
    days = [day.day for day in week.days]
    return {
        "title": gettext("Weekly mail report"),
        "period": format_interval(days[0], days[-1], "yMMMMd", locale=_locale()),
        "summary": _summary(week),
        "figures": _figures(week),
        "plots": [{"content_id": one.content_id, "title": one.title, "text": one.text} for one in pictures],
        "sections": [
            _section(gettext("By connection"), week.of("connection"), gettext("none yet"), {}),
            _section(gettext("By communication"), week.of("stream"), gettext("none"), names),
        ],
    }


def _plot(week: Week, name: str, states: Collection[DeliveryState], ink: Ink) -> Plot:
    titles = {"accepted": gettext("Accepted by the server"), "failed": gettext("Refused or expired")}
    values = week.daily(states)
    each = (_counted(_weekday(day.day), value) for day, value in zip(week.days, values, strict=True))
    return Plot(f"{name}@weekly-report", titles[name], ", ".join(each), values, ink)


def _summary(week: Week) -> str:
    if not week.held and not week.in_doubt:
        return gettext("Nothing waits for a person.")
    facts = {"held": _number(week.held), "in_doubt": _number(week.in_doubt)}
    return gettext("Messages that wait for a person now: %(held)s held, %(in_doubt)s in doubt.") % facts


def _figures(week: Week) -> list[dict[str, str]]:
    states = week.states()
    counted = {
        gettext("Messages handed over"): week.messages,
        gettext("Recipients"): week.deliveries,
    }
    counted |= {
        capfirst(state_text(state)): states[state] for state in _ORDER if states[state] or state in _ALWAYS
    }
    return [{"label": label, "value": _number(count)} for label, count in counted.items()]


def _section(
    title: str, groups: Mapping[str, Counter[DeliveryState]], nothing: str, names: Mapping[str, str]
) -> dict[str, Any]:
    rows = [
        {"label": stream_text(key, names[key]) if key in names else key or nothing, "value": _states(counts)}
        for key, counts in groups.items()
    ]
    return {"title": title, "rows": rows}


def _states(counts: Mapping[DeliveryState, int]) -> str:
    there = ((state, counts.get(state, 0)) for state in _ORDER)
    return ", ".join(_counted(state_text(state), count) for state, count in there if count)


def _counted(what: str, count: int) -> str:
    return gettext("%(what)s: %(number)s") % {"what": what, "number": _number(count)}


def _weekday(day: date) -> str:
    return format_date(day, "EEE d", locale=_locale())


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)


def _locale() -> str:
    return (get_language() or "en").replace("-", "_")
