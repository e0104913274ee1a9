"""Template tags of the console: icons, moments, fields and states."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django import forms, template
from django.templatetags.static import static
from django.utils.formats import number_format
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from vaguemestre.console.looks import Look, look_of
from vaguemestre.ledger.days import day_text, moment_text
from vaguemestre.ledger.messages import subject_of
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.outlook_wording import Sentence, at_words, plain
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.ledger.sizes import size_text
from vaguemestre.ledger.stream_wording import stream_text
from vaguemestre.ledger.wording import describe, health_text, reason_text, state_text
from vaguemestre.mail.host import readable_host
from vaguemestre.policy.outlook import Count

register = template.Library()

SCOPE_WORDS = {
    "send": _("send"),
    "read": _("read"),
    "connections": _("connections"),
    "admin": _("administer"),
}
VIA_WORDS = {
    "api": "API",
    "smtp": "SMTP",
    "cli": _("command line"),
    "console": _("console"),
    "form": _("form"),
    "report": _("report of our own"),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """A picture of the sprite, for the eye alone."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>',
        static("console/sprite.svg"),
        name,
    )


@register.simple_tag
def moment(at: datetime | str | None, form: str = "full") -> SafeString | str:
    """A time: in UTC as served, in the reader's zone once the page's script has run.

    Args:
        at: aware, or ISO 8601 text.
        form: `full`; `near` for "2 hours ago", the full time as its title; `next` for what is due, which is
            never in the past; `spoken` for an adverb, "today at 14:20 (3 min ago)".
    """
    if not at:
        return ""
    known = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)
    if form == "spoken":
        return SafeString(_shown(known))
    shown = moment_text(known)
    return format_html(
        '<time datetime="{}" data-form="{}">{} UTC</time>', known.isoformat(timespec="seconds"), form, shown
    )


@register.simple_tag
def told(sentences: list[Sentence]) -> SafeString:
    """Sentences one behind the other, their times in the reader's zone once the page's script has run."""
    escaped = [Sentence(escape(sentence.template), sentence.facts) for sentence in sentences]
    return format_html_join(" ", "{}", ((SafeString(sentence.told(_shown)),) for sentence in escaped))


def _shown(fact: object) -> str:
    """A fact as markup; the time is an adverb: "today at 14:20 (in 3 min)"."""
    if not isinstance(fact, datetime):
        return escape(plain(fact))
    known = fact.astimezone(UTC).isoformat(timespec="seconds")
    return format_html('<time datetime="{}" data-form="spoken">{}</time>', known, at_words(fact))


@register.inclusion_tag("console/parts/field.html")
def field(bound: forms.BoundField, classes: str = "") -> dict[str, Any]:
    """A labelled input with its hint and its errors."""
    must = bound.field.required or bound.field.widget.attrs.get("aria-required") == "true"
    return {"field": bound, "classes": classes, "must": must}


@register.inclusion_tag("console/parts/check.html")
def check(bound: forms.BoundField) -> dict[str, Any]:
    """A checkbox with its label beside it."""
    return {"field": bound}


@register.inclusion_tag("console/parts/badge.html")
def state(code: str) -> dict[str, Any]:
    """A delivery's or a message's state."""
    return {"look": look_of(code, "state"), "words": state_text(code)}


PLOT_HEIGHT = 28


@register.inclusion_tag("console/parts/plot.html")
def plot(counts: list[int]) -> dict[str, Any]:
    """The last hours as bars, with their sum in words for those who do not see them."""
    most = max([*counts, 1])
    heights = [max(2, round(count * PLOT_HEIGHT / most)) if count else 1 for count in counts]
    bars = [
        {"x": 4 * hour, "y": PLOT_HEIGHT - height, "height": height, "none": not count}
        for hour, (count, height) in enumerate(zip(counts, heights, strict=True))
    ]
    width = 4 * len(counts) - 1
    return {
        "bars": bars,
        "number": sum(counts),
        "most": max(counts, default=0),
        "width": width,
        "height": PLOT_HEIGHT,
    }


@register.filter
def day(at: date | None) -> str:
    """A day, in words."""
    return "" if at is None else day_text(localtime(at) if isinstance(at, datetime) else at)


@register.filter
def readable(host: str) -> str:
    """A server's name as people read it."""
    return readable_host(host)


@register.filter
def why_of_health(code: str) -> str:
    """Why a connection is throttled or locked, in words."""
    return health_text(code) if code else ""


@register.filter
def took(milliseconds: float) -> str:
    """How long a step took; what is not measurable in whole milliseconds is below one."""
    if milliseconds >= 1000:
        return f"{number_format(milliseconds / 1000, 1)}\N{NO-BREAK SPACE}s"
    figure = f"{milliseconds:.0f}" if milliseconds >= 1 else "<\N{NO-BREAK SPACE}1"
    return f"{figure}\N{NO-BREAK SPACE}ms"


@register.filter
def subject_words(message: Message) -> str:
    """A message's subject that can be seen, and clicked."""
    subject = subject_of(message)
    return subject if subject.strip() else gettext("(without subject)")


@register.filter
def via_words(code: str) -> str:
    """By which door a message came."""
    return str(VIA_WORDS.get(code, code))


@register.filter
def state_words(code: str) -> str:
    """A state in words."""
    return state_text(code)


@register.filter
def reason_words(reason: dict[str, Any]) -> str:
    """Why a message is routed as it is, or held."""
    return reason_text(reason)


@register.filter
def sender_words(sender: dict[str, str] | None) -> str:
    """A From as a header shows it; nothing for none."""
    if not sender:
        return ""
    return f"{sender['name']} <{sender['email']}>" if sender.get("name") else sender["email"]


@register.filter
def scope_words(code: str) -> str:
    """What a key may do, in words."""
    return str(SCOPE_WORDS.get(code, code))


@register.filter
def stream_words(key: str, name: str) -> str:
    """What people call a stream."""
    return stream_text(key, name)


@register.filter
def refusal_words(refusal: Conflict) -> str:
    """Why something cannot be done now."""
    return describe(refusal)


@register.filter
def actor_words(actor: str) -> str:
    """Who did it, as the journal has it: `user:claire@example.org`."""
    return actor.partition(":")[2] or actor


@register.filter
def look(code: str, kind: str) -> Look:
    """The tone and the picture of a code among those of its kind."""
    return look_of(code, kind)


@register.filter
def size_words(octets: int) -> str:
    """A size in the reader's words."""
    return size_text(octets)


@register.filter
def grouped(number: int) -> str:
    """A number in groups of three digits."""
    return number_format(number, force_grouping=True)


@register.filter
def counted(count: Count) -> str:
    """How many; of very many only that they are more."""
    figure = grouped(count.number)
    return gettext("more than %(count)s") % {"count": figure} if count.more else figure
