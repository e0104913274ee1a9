"""Why nothing is sent, and what to do, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from django.utils.translation import gettext, gettext_noop

from vaguemestre.ledger.days import moment_text
from vaguemestre.policy.installation import PauseWhy

_WHAT = {
    PauseWhy.BY_HAND: gettext_noop("Sending is paused: whatever is handed over waits."),
    PauseWhy.ELSEWHERE: gettext_noop(
        "Sending is paused: this database does not lie where it lay when it last sent. It was restored,"
        " copied or moved."
    ),
    PauseWhy.OLDER: gettext_noop(
        "Sending is paused: this database is an older state, of %(left_off)s, of an installation that went on"
        " sending until %(reached)s. What has left since then would leave again."
    ),
    PauseWhy.UNMARKED: gettext_noop(
        "Sending is paused: this database lies without the mark that was beside it. It was restored, copied"
        " or moved."
    ),
    PauseWhy.FOREIGN: gettext_noop(
        "Sending is paused: this database is another installation’s than the one that sent from here before."
    ),
}
_REMEDY = {
    PauseWhy.BY_HAND: gettext_noop("Resume it when you are ready: what waits leaves then."),
    PauseWhy.ELSEWHERE: gettext_noop(
        "If it was moved, and nothing works at its old place any more, resume. If it is a backup, or the"
        " original still works, what waits here has left or leaves from there: cancel it, then resume."
    ),
    PauseWhy.OLDER: gettext_noop(
        "What waits here may have left already: cancel it, then resume. Or resume, and all of it leaves."
    ),
}
_REMEDY |= dict.fromkeys((PauseWhy.UNMARKED, PauseWhy.FOREIGN), _REMEDY[PauseWhy.ELSEWHERE])


def what(why: PauseWhy, facts: Mapping[str, int]) -> str:
    """What is the matter."""
    times = {name: _time(facts.get(name, 0)) for name in ("left_off", "reached")}
    return gettext(_WHAT[why]) % times


def remedy(why: PauseWhy) -> str:
    """What to do."""
    return gettext(_REMEDY[why])


def _time(milliseconds: int) -> str:
    at = moment_text(datetime.fromtimestamp(milliseconds / 1000, UTC))
    return f"{at} UTC"
