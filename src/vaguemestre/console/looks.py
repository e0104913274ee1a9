"""How the console shows a code: a tone, which the style sheet colours, and a picture of the sprite."""

from __future__ import annotations

from typing import NamedTuple

from vaguemestre.policy.finding import Severity


class Look(NamedTuple):
    """The tone is good, wary, bad or nothing."""

    tone: str
    icon: str


GOOD = Look("good", "done")
_SEVERITY = {
    Severity.ERROR.value: Look("bad", "stop"),
    Severity.WARNING.value: Look("wary", "alert"),
    Severity.INFO.value: Look("", "info"),
}
_LOOKS = {
    "state": {
        "queued": Look("", "clock"),
        "claimed": Look("", "messages"),
        "held": Look("wary", "pause"),
        "in_doubt": Look("wary", "doubt"),
        "accepted": Look("good", "check"),
        "refused": Look("bad", "cross"),
        "expired": Look("bad", "clock"),
        "cancelled": Look("", "stop"),
    },
    "health": {
        "ready": Look("good", "check"),
        "throttled": Look("wary", "clock"),
        "locked": Look("bad", "lock"),
        "paused": Look("wary", "pause"),
    },
    "lane": {
        "sending_paused": Look("bad", "pause"),
        "no_courier": Look("bad", "stop"),
        "unserved": Look("", "clock"),
        "locked": Look("bad", "lock"),
        "paused": Look("wary", "pause"),
        "throttled": Look("wary", "clock"),
        "probing": Look("wary", "clock"),
        "limit_reached": Look("wary", "clock"),
        "inactive": Look("", "stop"),
        "sending": Look("good", "messages"),
        "taking_up": Look("", "clock"),
        "waiting": Look("", "clock"),
        "idle": Look("good", "check"),
    },
    "verification": {
        "never": Look("wary", "info"),
        "verified": GOOD,
        "failed": Look("bad", "stop"),
        "stale": Look("wary", "alert"),
    },
    "note": {"success": GOOD, "warning": Look("wary", "alert"), "error": Look("bad", "stop")},
    "severity": _SEVERITY,
    "point": {**_SEVERITY, Severity.INFO.value: GOOD},  # of an examination: what is in order is news
}


def look_of(code: str, kind: str) -> Look:
    """The look of a code among those of its kind; a plain one where it has none."""
    return _LOOKS[kind].get(code, Look("", "info"))
