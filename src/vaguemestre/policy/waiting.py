"""How long a server asks to wait: the time that a reply names, and what its words imply where it names none.

A named time is believed as it is. What is only implied is a least time, which the backoff of `health` may
exceed. A limit of an hour, a day or a month is asked again after an hour: the hour's is over by then; a day
that rolls gives back, hour by hour, what was sent a day before, and a calendar's day may begin at any hour
(Infomaniak, Microsoft and Google roll, Emailit and others do not). One refused message an hour costs nothing,
a blind day costs up to 23 hours. Rates of seconds and minutes are over in a minute. "Try again later" without
more is a quarter of an hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vaguemestre.mail.reply import Reply
from vaguemestre.policy import wording

LONGEST_DELAY = 86_400.0  # seconds; a reply that asks for more is believed up to here
LONG_LIMIT_PAUSE = 3600.0  # seconds at least, after a limit of an hour, a day or a month
RATE_PAUSE = 60.0
LATER_PAUSE = 900.0
LOGINS_PAUSE = 900.0  # servers count sign-ins over a quarter of an hour

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "j": 86_400}
_DELAY = re.compile(
    r"(?<![\d.:/-])(?:(\d{1,6}(?:\.\d{1,3})?) ?|\b(?:an?|one) )"
    r"(s|secs?|seconds?|secondes?|m|mins?|minutes?|h|hrs?|hours?|heures?|days?|jours?)\b(?![./-]\w)",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\b(?:in|for|after) (\d{1,2}):(\d{2}):(\d{2})\b", re.IGNORECASE)  # milter-greylist's
_BEFORE = 80  # characters before a time that say what it is; of all of them a long reply would keep everybody
# What stands before or behind the time over which a limit counts, rather than the time to wait.
_COUNTED_BEFORE = re.compile(
    r"(?:\bper|\bevery|\beach|\blast|\bpast|\bwithin|\bonly)(?: the)? ?$"
    r"|\b(?:message|mail|e-?mail|recipient|rcpt|connection|attempt|login|limit|sent)s?"
    r" (?:in|over|during|for)(?: an?| any| the)?(?: last| past)? ?$",
    re.IGNORECASE,
)
_COUNTED_BEHIND = re.compile(r"[- ]?(?:period|window|limit|quota|interval|ago)", re.IGNORECASE)
_SINGLE = re.compile(r"(?:\bin|\bfor|\bafter|\bwait|\banother|dans|d'ici) ?$", re.IGNORECASE)
_HAS_PASSED = wording.any_of(r"timed? ?-?out", "idle", "inactiv")

_LONG_LIMIT = wording.any_of(
    r"\b(?:hourly|daily|monthly)\b",
    r"\b(?:per|a|an|one|each|every|this|exceeded) (?:1 )?(?:hour|day|month)\b",
    r"\b(?:24|1|one)[- ]?h(?:ou)?rs?\b|\b60 ?min",
    r"/ ?(?:h|hour|day|d|month)\b",
    r"\btoday\b|\btomorrow\b",
    r"\b(?:par|à l') ?(?:heure|jour|mois)\b|quotidien|journali|mensuel|horaire",
    r"\b(?:all'ora|al giorno|al mese)\b|giornalier|orari[oa]|mensile",
    r"\bpro (?:stunde|tag|monat)\b|t(?:ä|ae)glich|st(?:ü|ue)ndlich",
    "quotaexceeded|credits",  # Microsoft's of a mailbox and a day; bought ones, as Mailjet's
)
_RATE = wording.any_of(
    "rate.{0,3}limit|throttl",
    r"\b(?:per|a|each|every) (?:second|sec|minute|min)\b|/ ?(?:s|sec|second|min|minute)\b",
    r"\b(?:sending|message|connection|submission) rate\b",
    "too fast|too quickly|too often|slow down",
)
_LATER = wording.any_of(
    r"\b(?:later|after some ?time)\b",
    r"plus tard|ult(?:é|e)rieurement",
    r"pi(?:ù|u') tardi",
    r"sp(?:ä|ae)ter",
)
# Microsoft's daily limits of a mailbox and of a tenant. 5.4.5 is Google's; 4.4.5 says "busy" elsewhere.
_DAILY_STATUS = frozenset({(1, 90), (7, 232), (7, 233)})


def named_delay(text: str) -> float | None:
    """The seconds that a reply asks to wait, if it names them: "try again in 15 minutes" is 900.

    At most `LONGEST_DELAY`. What a server says of a time that has passed ("timed out after 300 seconds") or
    of a rate ("30 per 60 seconds", "200 messages in 24 hours") is no delay.
    """
    if _HAS_PASSED.search(text):
        return None
    seconds = next(_delays(text), 0.0)
    return min(seconds, LONGEST_DELAY) if seconds >= 1 else None


def least_pause(reply: Reply) -> float:
    """The seconds that a reply implies that is about a limit or turns us away; 0 where it implies nothing."""
    if not wording.limit_reached(reply):
        return LATER_PAUSE if _turned_away(reply) else 0.0
    if wording.too_many_logins(reply):
        return LOGINS_PAUSE
    if _of_long_limit(reply):
        return LONG_LIMIT_PAUSE
    if _LATER.search(reply.text) and not wording.too_many_connections(reply):
        return LATER_PAUSE
    return RATE_PAUSE if _RATE.search(reply.text) else 0.0


def _delays(text: str) -> Iterator[float]:
    for clock in _CLOCK.finditer(text):
        yield float(int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3]))
    for found in _DELAY.finditer(text):
        before = text[max(0, found.start() - _BEFORE) : found.start()]
        if _COUNTED_BEFORE.search(before) or _COUNTED_BEHIND.match(text, found.end()):
            continue
        if found[1] is None and not _SINGLE.search(before):
            continue  # "in an hour" is a delay; "10 messages an hour" is not
        yield float(found[1] or 1) * _UNITS[found[2][0].lower()]


def _turned_away(reply: Reply) -> bool:
    """Whether a server closes on us by its policy, until later: Google's "421 4.7.0 Try again later".

    One that is about to start again, or has too much to do (4.3.2), says "later" as well, and is back sooner.
    """
    about = wording.detail(reply)
    return reply.code == 421 and about is not None and about[0] == 7 and bool(_LATER.search(reply.text))


def _of_long_limit(reply: Reply) -> bool:
    if wording.detail(reply) in _DAILY_STATUS or _LONG_LIMIT.search(reply.text):
        return True
    return reply.permanent and wording.detail(reply) == (4, 5) and not _RATE.search(reply.text)
