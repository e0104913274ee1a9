"""What a notification says to people: what became of whom, whose words, and what to do (`remedy`).

Whoever handed the message over may be anyone: of what it waits for nothing is told that is internal, such as
the name of a connection, a person, or what a server said to our sign-in (L4).

In the language that is active. The English texts are message ids; nothing fails for a fact that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.translation import gettext, gettext_noop

from vaguemestre.ledger.days import day_text
from vaguemestre.ledger.models import Delivery
from vaguemestre.ledger.wording import trouble_text
from vaguemestre.mail.dsn import Action, Ended
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.outlook import Outlook, OutlookCode

_REMEDIES = {
    "recipient_refused": gettext_noop("Check the address, or reach the recipient another way."),
    "message_refused": gettext_noop(
        "Its words say what it objects to: change that, and send the message again."
    ),
    "smtputf8_missing": gettext_noop("Ask the recipient for an address in plain letters."),
    "content_gone": gettext_noop("Send the message again."),
    "unsubscribed": gettext_noop("Take the address off the list that you send to."),
}
_NEXT = gettext_noop("The next attempt is %(at)s.")
_ACCOUNT = gettext_noop("It waits until the account that sends it can be used again.")
# What a delayed one waits for; whatever is not here, for its turn.
_DELAYS = {
    OutlookCode.SCHEDULED: _NEXT,
    OutlookCode.RETRY: _NEXT,
    OutlookCode.GREYLISTED: _NEXT,
    OutlookCode.LOCKED: _ACCOUNT,
    OutlookCode.PAUSED: _ACCOUNT,
    OutlookCode.THROTTLED: _ACCOUNT,
    OutlookCode.PROBING: _ACCOUNT,
    OutlookCode.EXPIRES: gettext_noop("It expires %(at)s, before it could leave."),
}
_TURN = gettext_noop("It waits for its turn.")
# What says itself what to do.
_TELLING = frozenset({"too_large", "bare_line_ending", "null_reverse_path_refused"})
_REMEDY = gettext_noop("Send it again later, or ask whoever runs this installation.")


@dataclass(frozen=True)
class Told:
    """One recipient's end or delay, and the delivery that tells of it.

    Attributes:
        outlook: what it waits for, where it is delayed.
    """

    ended: Ended
    delivery: Delivery
    outlook: Outlook


def remedy(delivery: Delivery) -> str:
    """What to do about one that was refused or given up; empty where its words say that, or nobody knows."""
    ended = delivery.state in {DeliveryState.REFUSED, DeliveryState.EXPIRED}
    text = _REMEDIES.get(str((delivery.trouble or {}).get("why", ""))) if ended else None
    return "" if text is None else gettext(text)


def subject(told: Iterable[Told], about: str) -> str:
    """The subject, with that of the message it is about."""
    actions, facts = {one.ended.action for one in told}, {"subject": _named(about)}
    if Action.FAILED in actions:
        return gettext("Your message did not get through: %(subject)s") % facts
    if Action.DELAYED in actions:
        return gettext("Your message is late: %(subject)s") % facts
    return gettext("Your message was accepted: %(subject)s") % facts


def text(told: Iterable[Told]) -> str:
    """The words of a notification, those of failures first."""
    told = list(told)
    message = told[0].delivery.message
    facts = {"subject": _named(message.subject), "at": _at(message.accepted_at)}
    failed, delayed, relayed = (
        [one for one in told if one.ended.action is action]
        for action in (Action.FAILED, Action.DELAYED, Action.RELAYED)
    )
    paragraphs = []
    if failed:
        head = gettext("Your message “%(subject)s”, handed over %(at)s, could not be passed on to:")
        paragraphs += [head % facts, *map(_failure, failed)]
        paragraphs.append(gettext("Nothing more is tried for them."))
    if delayed:
        head = gettext("Your message “%(subject)s”, handed over %(at)s, could not be passed on yet to:")
        paragraphs += [head % facts, *map(_delay, delayed)]
        paragraphs.append(gettext("It goes on by itself: there is no need to send the message again."))
    if relayed:
        head = gettext("Your message “%(subject)s”, handed over %(at)s, was accepted by the next server for:")
        paragraphs += [head % facts, "\n".join(f"    {one.ended.recipient}" for one in relayed)]
        paragraphs.append(gettext("That server was not asked to report what becomes of it."))
    number = gettext("This report was made by a program. For whoever runs it: message %(id)s.")
    return "\n\n".join([*paragraphs, number % {"id": message.uid}])


def _named(about: str) -> str:
    """A subject; scanners and scripts often give none."""
    return about if about.strip() else gettext("(without subject)")


def _at(at: datetime) -> str:
    """A time as an adverb, as it is written in the language of the report."""
    known = at.astimezone(UTC)
    return gettext("on %(date)s at %(time)s UTC") % {
        "date": day_text(known),
        "time": f"{known:%H:%M}",
    }


def _failure(told: Told) -> str:
    return _indented(told, _why(told))


def _delay(told: Told) -> str:
    at, waits = told.outlook.at, gettext(_DELAYS.get(OutlookCode(told.outlook.code), _TURN))
    lines = [waits % {"at": "?" if at is None else _at(at)}]
    if told.ended.reply is not None:
        lines = [trouble_text(told.delivery.trouble or {}), *lines, _said(told.ended.reply)]
    return _indented(told, lines)


def _indented(told: Told, lines: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for line in (str(told.ended.recipient), *lines))


def _why(told: Told) -> list[str]:
    delivery, reply = told.delivery, told.ended.reply
    trouble = delivery.trouble or {}
    why = str(trouble.get("why", ""))
    found = [trouble_text(trouble)] if why else []
    if delivery.state == DeliveryState.EXPIRED:
        found.insert(0, gettext("It was given up, for its time was over."))
    if reply is not None:
        found.append(_said(reply))
    if why not in _TELLING:
        found.append(gettext(_REMEDIES.get(why, _REMEDY)))
    return found


def _said(reply: Reply) -> str:
    return gettext("The server said: “%(said)s”") % {"said": " ".join(str(reply).split())}
