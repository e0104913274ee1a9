"""Up to a thousand messages in one request and one transaction, a result or problem each.

A fault of one harms no other. Composing is a matter of the processor: it goes on in short slices, with a
pause behind each while other requests are at work (`company`), and is over before the transaction begins.
Behind that, too, those go first who waited for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from vaguemestre.doors.api.body import refuse_unstorable
from vaguemestre.doors.api.company import requests
from vaguemestre.doors.api.posted_message import submission_of
from vaguemestre.doors.api.problems import problem_of
from vaguemestre.ledger.draft import Draft, draft
from vaguemestre.ledger.gathering import take_many
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.resources import accepted_summaries
from vaguemestre.ledger.submission import Accepted

BATCH_LIMIT = 1_000
_SLICE = 16  # messages composed at a stretch: a millisecond or two
_PAUSE = 0.001  # seconds in which others have the interpreter
_TURN = 0.01  # seconds for those who waited for the transaction


def accept_batch(
    batch: Sequence[Mapping[str, object]], key: ApiKey, now: datetime, *, suspect: bool
) -> list[dict[str, Any]]:
    """What became of each message, in order; `suspect` has their texts looked through first."""
    drafts = list(_drafts(batch, key, now, suspect=suspect))
    answers = iter(take_many([one for one in drafts if isinstance(one, Draft)], now))
    requests.give_way(_TURN)
    became = [next(answers) if isinstance(one, Draft) else one for one in drafts]
    accepted = iter(accepted_summaries([one for one in became if isinstance(one, Accepted)]))
    return [next(accepted) if isinstance(one, Accepted) else problem_of(one).body() for one in became]


def _drafts(
    batch: Sequence[Mapping[str, object]], key: ApiKey, now: datetime, *, suspect: bool
) -> Iterator[Draft | Exception]:
    for position, values in enumerate(batch):
        if position % _SLICE == _SLICE - 1:
            requests.give_way(_PAUSE)
        try:
            if suspect:
                refuse_unstorable(values)
            yield draft(submission_of(values, key), now)
        except Exception as error:  # noqa: BLE001  each message answers for itself
            yield error
