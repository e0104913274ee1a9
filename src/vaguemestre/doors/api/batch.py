"""Up to a thousand messages in one request and one transaction, a result or problem each.

A fault of one harms no other. Composing is a matter of the processor: it goes on in short slices, with a
pause behind each while other requests are at work (`company`), and is over before the transaction begins.
Behind that, too, those go first who waited for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted

from vaguemestre.doors.api.body import refuse_unstorable
from vaguemestre.doors.api.company import requests
from vaguemestre.doors.api.posted_message import submission_of
from vaguemestre.doors.api.problems import problem_of
from vaguemestre.doors.api.rendering import render
from vaguemestre.ledger.draft import Draft, draft, message_limit
from vaguemestre.ledger.gathering import take_many
from vaguemestre.ledger.identity import new_names
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.resources import accepted_summary
from vaguemestre.ledger.submission import Accepted
from vaguemestre.mail.compose import Bodies

BATCH_LIMIT = 1_000
_SLICE = 16  # messages composed at a stretch: a millisecond or two
_PAUSE = 0.001  # seconds in which others have the interpreter
_TURN = 0.01  # seconds for those who waited for the transaction


def accept_batch(
    batch: Sequence[Mapping[str, object]], key: ApiKey, now: datetime, *, suspect: bool
) -> bytes:
    """What became of each message, in order, as JSON; `suspect` has their texts looked through first."""
    drafts = list(_drafts(batch, key, now, suspect=suspect))
    answers = iter(take_many([one for one in drafts if isinstance(one, Draft)], now))
    requests.give_way(_TURN)
    return _rendered([next(answers) if isinstance(one, Draft) else one for one in drafts])


def _drafts(
    batch: Sequence[Mapping[str, object]], key: ApiKey, now: datetime, *, suspect: bool
) -> Iterator[Draft | Exception]:
    bodies, names, limit = Bodies(checked=not suspect), new_names(len(batch)), message_limit()
    for position, (values, name) in enumerate(zip(batch, names, strict=True)):
        if position % _SLICE == _SLICE - 1:
            requests.give_way(_PAUSE)
        try:
            if suspect:
                refuse_unstorable(values)
            submission = submission_of(values, key, bodies)
            yield draft(submission, now, name, limit)
        except Exception as error:  # noqa: BLE001  each message answers for itself
            yield error


def _rendered(became: Sequence[Accepted | Exception]) -> bytes:
    return f'{{"results":[{",".join(_results(became))}]}}'.encode()


def _results(became: Sequence[Accepted | Exception]) -> Iterator[str]:
    """As `accepted_summary` has them: of most all but the id and the recipient is what those before have."""
    frames: dict[tuple[object, ...], Sequence[str]] = {}
    for one in became:
        if not isinstance(one, Accepted):
            yield render(problem_of(one).body()).decode()
        elif len(one.recipients) > 1 or one.spared:
            yield render(accepted_summary(one)).decode()
        else:
            alike = one.state, one.connection, id(one.reason)
            if (frame := frames.get(alike)) is None:
                frame = frames[alike] = _frame(one)
            before, between, behind = frame
            yield f'{before}"{one.uid}"{between}{quoted(one.recipients[0])}{behind}'


def _frame(accepted: Accepted) -> Sequence[str]:
    """What stands before the id, between it and the recipient, and behind."""
    anybody = replace(accepted, recipients=(accepted.uid,))  # which occurs in nothing else
    return render(accepted_summary(anybody)).decode().split(f'"{accepted.uid}"')
