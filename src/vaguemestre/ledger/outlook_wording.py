"""When a message leaves and what a lane is doing, in sentences of the reader's language.

A `Sentence` is a translated template with its facts, so that a page can put a time into the reader's zone and
plain text can name it in UTC. There is at least one for every code; nothing fails for a fact that is missing.
The server's words are a sentence of their own, for readers who do not see them beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_noop, ngettext

from vaguemestre.ledger.wording import doubt_text, health_text, reason_text, trouble_text
from vaguemestre.mail.manner import Manner
from vaguemestre.policy.installation import PauseWhy
from vaguemestre.policy.lane_outlook import LaneCode
from vaguemestre.policy.manner import REMEMBERED, Ladder, MannerWhy
from vaguemestre.policy.outlook import Count, Outlook, OutlookCode

type Show = Callable[[object], str]

# Of a delivery, by the code of its outlook. The time stands where an adverb of time can.
_DELIVERIES = {
    OutlookCode.LEAVES_NOW: gettext_noop("It leaves now."),
    OutlookCode.LEAVES_BY_BACKUP: gettext_noop("It leaves now."),
    OutlookCode.HANDING_OVER: gettext_noop("A courier is handing it over to the server."),
    OutlookCode.AWAITING_ANSWER: gettext_noop("All of it has gone out; the server’s answer is awaited."),
    OutlookCode.SCHEDULED: gettext_noop("It is to leave %(at)s, as it was asked."),
    OutlookCode.RETRY: gettext_noop("The next attempt is %(at)s."),
    OutlookCode.GREYLISTED: gettext_noop(
        "The server first turns away whom it does not know, on purpose (greylisting), and takes the message a"
        " little later. The next attempt is %(at)s."
    ),
    OutlookCode.REROUTING: gettext_noop("Its route is being worked out anew."),
    OutlookCode.SENDING_PAUSED: gettext_noop("All of sending is paused: nothing leaves."),
    OutlookCode.NO_COURIER: gettext_noop(
        "No courier is running, so nothing leaves. Whoever runs this installation has to start it."
    ),
    OutlookCode.UNSERVED: gettext_noop(
        "No courier has “%(connection)s” in its hands yet; one takes it over within seconds."
    ),
    OutlookCode.LOCKED: gettext_noop("It waits for “%(connection)s”."),
    OutlookCode.PAUSED: gettext_noop("It waits for “%(connection)s”, which is paused."),
    OutlookCode.THROTTLED: gettext_noop("It waits for “%(connection)s”, which is tried again %(at)s."),
    OutlookCode.PROBING: gettext_noop(
        "“%(connection)s” is tried with one message first; the others follow once that one is accepted."
    ),
    OutlookCode.LIMIT_REACHED: gettext_noop(
        "The limit of “%(connection)s” lets this message leave %(at)s at the earliest."
    ),
    OutlookCode.HELD: gettext_noop("It is held."),
    OutlookCode.DOUBT_RETRY: gettext_noop("If nobody decides before, the same bytes are sent again %(at)s."),
    OutlookCode.DOUBT_DECIDE: gettext_noop("A person decides."),
    OutlookCode.DOUBT_INACTIVE: gettext_noop(
        "“%(connection)s”, which had it, is inactive: a person decides."
    ),
    OutlookCode.EXPIRES: gettext_noop("It expires %(at)s, before it could leave."),
    OutlookCode.ACCEPTED: gettext_noop("The server accepted it %(at)s."),
    OutlookCode.ARRIVED: gettext_noop("A person noted that it arrived, %(at)s."),
    OutlookCode.REFUSED: gettext_noop("It was refused %(at)s."),
    OutlookCode.EXPIRED: gettext_noop("It was given up %(at)s."),
    OutlookCode.CANCELLED: gettext_noop("It was cancelled %(at)s."),
}
_LANES = {
    LaneCode.SENDING_PAUSED: _DELIVERIES[OutlookCode.SENDING_PAUSED],
    LaneCode.NO_COURIER: _DELIVERIES[OutlookCode.NO_COURIER],
    LaneCode.UNSERVED: gettext_noop("No courier has it in its hands yet; one takes it over within seconds."),
    LaneCode.LOCKED: gettext_noop("It is locked, and sends nothing."),
    LaneCode.PAUSED: gettext_noop("It is paused. It goes on once somebody lets it work again."),
    LaneCode.THROTTLED: gettext_noop("It waits, and is tried again %(at)s."),
    LaneCode.PROBING: gettext_noop(
        "It is tried with one message first; the others follow once that one is accepted."
    ),
    LaneCode.LIMIT_REACHED: gettext_noop("It has used up its limit; the next message may leave %(at)s."),
    LaneCode.INACTIVE: gettext_noop("It is inactive, and sends nothing."),
    LaneCode.SENDING: gettext_noop("It is sending."),
    LaneCode.TAKING_UP: gettext_noop("A courier is about to take up what is due."),
    LaneCode.WAITING: gettext_noop("Nothing is due; the next attempt is %(at)s."),
    LaneCode.IDLE: gettext_noop("There is nothing to do: no message waits for it."),
}
# Where the time of those is not known.
_TIMELESS = {
    OutlookCode.LIMIT_REACHED: gettext_noop(
        "“%(connection)s” has used up its limit; the next message may leave once those under way have ended."
    ),
    OutlookCode.DOUBT_RETRY: gettext_noop("The same bytes are sent again now."),
}
_LANE_TIMELESS = {
    LaneCode.LIMIT_REACHED: gettext_noop(
        "It has used up its limit; the next message may leave once those under way have ended."
    )
}
_LIMITS = {
    "per_minute": gettext_noop("The limit is %(tokens)s messages a minute."),
    "per_day": gettext_noop("The limit is %(tokens)s recipients in 24 hours."),
}
_UNDECIDED = {
    "on_doubt": gettext_noop("Such messages are not sent again by themselves: a person decides."),
    "twice": gettext_noop("It was in doubt twice: a person decides."),
    "route": gettext_noop("It would now take another way: a person decides."),
}
_UNLOCKS = {
    "sign_in_refused": gettext_noop(
        "It sends again once the password is typed anew or a verification succeeds."
    ),
    "secret_unreadable": "",  # its reason says so
}
_UNLOCKS_OTHERWISE = gettext_noop(
    "It sends again once a verification succeeds; its provider may have to permit it first."
)
_RELEASES = {
    "explicit_gone": gettext_noop("It cannot leave any more: cancel it, and hand it over anew."),
    "stream_inactive": gettext_noop("It leaves once that one is active, or the stream has another."),
    "stream_gone": gettext_noop("It leaves once the stream has another connection."),
    "ambiguous": gettext_noop("It leaves once one of them is the default."),
}
_MANNERS = {
    Manner.BDAT: gettext_noop("Windows of several messages at once, where the server offers CHUNKING"),
    Manner.DATA: gettext_noop("One message right behind the other, where the server offers PIPELINING"),
    Manner.SINGLE: gettext_noop("One command, one answer"),
}
_MANNER_WHYS = {
    MannerWhy.BDAT_REFUSED: gettext_noop("The server announces CHUNKING, and refuses it."),
    MannerWhy.BDAT_BROKE: gettext_noop("Sessions with CHUNKING broke, one after the other."),
    MannerWhy.DATA_REFUSED: gettext_noop("The server announces PIPELINING, and refuses grouped commands."),
    MannerWhy.DATA_BROKE: gettext_noop("Sessions with PIPELINING broke, one after the other."),
}


@dataclass(frozen=True)
class Sentence:
    """A translated template and what stands in it: text, numbers and times."""

    template: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def told(self, show: Show) -> str:
        """The sentence, each fact as `show` writes it; a fact that is missing is a question mark."""
        return self.template % _Shown({name: show(value) for name, value in self.facts.items()})


class _Shown(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "?"


def at_words(at: datetime) -> str:
    """A time as an adverb, in UTC."""
    known = at.astimezone(UTC)
    return gettext("on %(date)s at %(time)s UTC") % {
        "date": f"{known:%Y-%m-%d}",
        "time": f"{known:%H:%M:%S}",
    }


def plain(value: object) -> str:
    """A fact in plain text."""
    if isinstance(value, datetime):
        return at_words(value)
    return number_format(value, force_grouping=True) if isinstance(value, int) else str(value)


def delivery_text(outlook: Outlook) -> str:
    """A delivery's outlook as plain text, with the server's words."""
    return _joined(delivery_sentences(outlook))


def lane_text(outlook: Outlook) -> str:
    """A lane's outlook as plain text, with the server's words."""
    return _joined(lane_sentences(outlook))


def delivery_sentences(outlook: Outlook, *, quoting: bool = True) -> list[Sentence]:
    """When it leaves and why not yet; `quoting` says what the server said."""
    facts = _facts(outlook)
    code = OutlookCode(outlook.code)
    return [
        *_doubt(facts),
        *_causes(code, facts),
        *_main(code, outlook, facts),
        *_details(code, facts),
        *_circumstances(code, facts),
        *(_quoted(facts) if quoting and code is not OutlookCode.ACCEPTED else []),
    ]


def lane_sentences(outlook: Outlook, *, quoting: bool = True) -> list[Sentence]:
    """What a lane is doing, and why not; `quoting` says what the server said."""
    facts = _facts(outlook)
    code = LaneCode(outlook.code)
    texts = _LANES if outlook.at is not None else _LANES | _LANE_TIMELESS
    found = [Sentence(gettext(texts[code]), facts)]
    if code is LaneCode.LOCKED:
        found = _locked(facts) or found
    elif code is LaneCode.NO_COURIER:
        found += _locked_besides(facts)
    elif code not in {LaneCode.PROBING, LaneCode.SENDING_PAUSED}:
        found += _why(facts)
    found += _details(OutlookCode(code), facts) if code in _SHARED else []
    found += [*_held_for(facts), *_kept_open(code, facts)]
    if facts.get("backup"):
        found.append(Sentence(gettext("“%(backup)s” stands in for it."), facts))
    return found + (_quoted(facts) if quoting else [])


def manner_text(ladder: Ladder) -> str:
    """How transactions are written to the server."""
    return gettext(_MANNERS[ladder.manner])


def manner_why(ladder: Ladder) -> list[Sentence]:
    """Why not faster, and until when; nothing where it is the fastest."""
    if not ladder.why or ladder.at is None:
        return []
    text = _MANNER_WHYS.get(MannerWhy(ladder.why)) if ladder.why in {*MannerWhy} else None
    why = [] if text is None else [Sentence(gettext(text))]
    again = {"since": ladder.at, "at": ladder.at + REMEMBERED}
    words = gettext("Learned %(since)s; faster is tried again %(at)s, or with other settings.")
    return [*why, Sentence(words, again)]


def manner_why_text(ladder: Ladder) -> str:
    """The same as plain text."""
    return _joined(manner_why(ladder))


_SHARED = {LaneCode.SENDING_PAUSED, LaneCode.PAUSED, LaneCode.LIMIT_REACHED}


def _joined(sentences: list[Sentence]) -> str:
    return " ".join(sentence.told(plain) for sentence in sentences)


def _facts(outlook: Outlook) -> dict[str, Any]:
    return {**outlook.facts, **({"at": outlook.at} if outlook.at is not None else {})}


def _main(code: OutlookCode, outlook: Outlook, facts: Mapping[str, Any]) -> list[Sentence]:
    ahead = facts.get("ahead")
    if isinstance(ahead, Count) and ahead:
        return [*([] if "doubt" not in facts else [_timeless(code, facts)]), _ahead(ahead)]
    if code is OutlookCode.HELD:
        return _held(facts)
    if code is OutlookCode.LEAVES_BY_BACKUP and "backup" in facts:
        return [Sentence(gettext("“%(backup)s” is about to take it in place of “%(connection)s”."), facts)]
    if code is OutlookCode.DOUBT_DECIDE:
        return [Sentence(gettext(_UNDECIDED.get(str(facts.get("undecided")), _DELIVERIES[code])))]
    if code is OutlookCode.EXPIRES and "not_before" not in facts:
        return [Sentence(gettext("Its time is over: it expires now."))]
    return [Sentence(gettext(_DELIVERIES[code]), facts) if outlook.at else _timeless(code, facts)]


def _timeless(code: OutlookCode, facts: Mapping[str, Any]) -> Sentence:
    return Sentence(gettext(_TIMELESS.get(code, _DELIVERIES[code])), facts)


def _ahead(ahead: Count) -> Sentence:
    if ahead.more:
        words = gettext("It leaves as soon as its turn comes: more than %(count)s are ahead of it.")
    else:
        words = ngettext(
            "It leaves as soon as its turn comes: %(count)s is ahead of it.",
            "It leaves as soon as its turn comes: %(count)s are ahead of it.",
            ahead.number,
        )
    return Sentence(words, {"count": ahead.number})


def _held(facts: Mapping[str, Any]) -> list[Sentence]:
    reason = facts.get("reason") or {}
    if "code" not in reason:
        return [Sentence(gettext(_DELIVERIES[OutlookCode.HELD]))]
    release = _RELEASES.get(str(reason["code"]))
    return [_text(reason_text(reason)), *([Sentence(gettext(release))] if release else [])]


def _doubt(facts: Mapping[str, Any]) -> list[Sentence]:
    if not facts.get("doubt"):
        return []
    return [_text(doubt_text(facts["doubt"])), Sentence(gettext("It may have arrived, or not."))]


def _causes(code: OutlookCode, facts: Mapping[str, Any]) -> list[Sentence]:
    """What happened, before what follows from it."""
    if code is OutlookCode.RETRY and facts.get("why"):
        return [_text(trouble_text({"why": facts["why"], "facts": facts.get("why_facts") or {}}))]
    return []


def _details(code: OutlookCode, facts: Mapping[str, Any]) -> list[Sentence]:
    """Why that is so, and who must act."""
    found: list[Sentence] = []
    match code:
        case OutlookCode.LOCKED:
            found = _locked(facts)
        case OutlookCode.SENDING_PAUSED:
            found = [_paused(facts), *_locked_besides(facts)]
        case OutlookCode.NO_COURIER:
            found = _locked_besides(facts)
        case OutlookCode.THROTTLED | OutlookCode.EXPIRES:
            found = _why(facts)
        case OutlookCode.REFUSED | OutlookCode.EXPIRED:
            found = _ended_why(facts)
        case OutlookCode.PAUSED if facts.get("by"):
            found = [Sentence(gettext("It was paused by %(by)s."), {"by": person(str(facts["by"]))})]
        case OutlookCode.LIMIT_REACHED if facts.get("limit") in _LIMITS:
            found = [Sentence(gettext(_LIMITS[str(facts["limit"])]), facts)]
        case OutlookCode.RETRY | OutlookCode.GREYLISTED if facts.get("last_try"):
            found = [Sentence(gettext("It is the last one."))]
    return found


def _paused(facts: Mapping[str, Any]) -> Sentence:
    if facts.get("paused", PauseWhy.BY_HAND) != PauseWhy.BY_HAND:
        return Sentence(gettext("This database may be a copy: a person decides whether it sends."))
    return Sentence(gettext("Paused by %(by)s, %(since)s."), {**facts, "by": person(str(facts.get("by")))})


def _why(facts: Mapping[str, Any]) -> list[Sentence]:
    return [_text(health_text(str(facts["why"])))] if facts.get("why") else []


def _locked(facts: Mapping[str, Any]) -> list[Sentence]:
    """Why it is locked, and who must act."""
    unlocks = _UNLOCKS.get(str(facts.get("why", "")), _UNLOCKS_OTHERWISE)
    return [*_why(facts), *([Sentence(gettext(unlocks))] if unlocks else [])]


def _locked_besides(facts: Mapping[str, Any]) -> list[Sentence]:
    if not facts.get("locked"):
        return []
    return [Sentence(gettext("Besides, “%(connection)s” is locked."), facts), *_locked(facts)]


def _ended_why(facts: Mapping[str, Any]) -> list[Sentence]:
    if facts.get("expires_at"):
        return [Sentence(gettext("Its submitter had set that end."))]
    why = facts.get("why")
    return [_text(trouble_text({"why": why, "facts": facts.get("why_facts") or {}}))] if why else []


def _circumstances(code: OutlookCode, facts: Mapping[str, Any]) -> list[Sentence]:
    found = []
    if "not_before" in facts and code is not OutlookCode.EXPIRES:
        found.append(Sentence(gettext("It is due %(not_before)s at the earliest."), facts))
    if "expires_at" in facts and code is not OutlookCode.EXPIRED:
        found.append(Sentence(gettext("If it has not left before, it expires %(expires_at)s."), facts))
    if "backup" in facts and code is not OutlookCode.LEAVES_BY_BACKUP:
        words = gettext("“%(backup)s” stands in for “%(connection)s”, which is out of order.")
        found.append(Sentence(words, facts))
    if "backup_for" in facts:
        found.append(Sentence(gettext("It goes by the backup of “%(backup_for)s”."), facts))
    return found


def _quoted(facts: Mapping[str, Any]) -> list[Sentence]:
    return [Sentence(gettext("The server said: “%(said)s”"), facts)] if facts.get("said") else []


def _held_for(facts: Mapping[str, Any]) -> list[Sentence]:
    held = facts.get("held")
    if not isinstance(held, Count):
        return []
    words = ngettext("%(count)s is held for it.", "%(count)s are held for it.", held.number)
    return [
        Sentence(
            gettext("More than %(count)s are held for it.") if held.more else words, {"count": held.number}
        )
    ]


def _kept_open(code: LaneCode, facts: Mapping[str, Any]) -> list[Sentence]:
    if code is not LaneCode.IDLE or not facts.get("sessions"):
        return []
    return [Sentence(gettext("A session is kept open for the next one."))]


def person(actor: str) -> str:
    """Who did it, as the journal names them."""
    kind, _, name = actor.partition(":")
    if kind == "cli":
        return gettext("%(name)s (command line)") % {"name": name}
    return gettext("the application “%(name)s”") % {"name": name} if kind == "key" else name or actor


def _text(words: str) -> Sentence:
    """A sentence that is complete."""
    return Sentence("%(words)s", {"words": words})
