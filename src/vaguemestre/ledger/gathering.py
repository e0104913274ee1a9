"""Acceptances that wait for the same disk share one transaction: the threads of a web process.

A thread that finds nobody at work leads: it commits for all that wait, itself among them, and passes the
lead to one that came meanwhile. There is no thread besides and no delay: who is alone commits at once.

Promises: everyone gets an answer of its own, after the commit that holds its message (L5); whatever becomes
of a leader, nobody waits for ever. Where one message breaks the transaction, each has another by itself.
Where the database is away, the whole group fails, and nothing of it was stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock

from django.db import connection
from django.utils import timezone

from vaguemestre.ledger.accept import Accepted, Submission, commit
from vaguemestre.ledger.database import AWAY, on_postgresql
from vaguemestre.ledger.draft import Draft, draft
from vaguemestre.ledger.refusals import Refusal


class _Place[Item, Outcome]:
    """One that waits: for its answer, or for the lead."""

    __slots__ = ("error", "item", "outcome", "turn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.turn = Lock()
        self.turn.acquire()

    @property
    def answered(self) -> bool:
        return self.outcome is not None or self.error is not None


class Gathering[Item, Outcome]:
    """Items of several threads, worked on together.

    Args:
        work: gives one outcome for each item, in order. Runs in one thread at a time.
        turn: held meanwhile. Where others hold it for long, all that came by then are one group.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Outcome]], turn: Lock) -> None:
        self._work = work
        self._turn = turn
        self._guard = Lock()
        self._waiting: list[_Place[Item, Outcome]] = []
        self._led = False

    def put(self, item: Item) -> Outcome:
        """The outcome of an item.

        Raises:
            Exception: what `work` raised for its group.
        """
        place: _Place[Item, Outcome] = _Place(item)
        with self._guard:
            self._waiting.append(place)
            leads, self._led = not self._led, True
        if not leads:
            place.turn.acquire()
        if not place.answered:
            self._lead()
        if place.error is not None:
            raise place.error
        assert place.outcome is not None  # noqa: S101  a group is answered as a whole
        return place.outcome

    def _lead(self) -> None:
        with self._turn:
            self._work_on_all()

    def _work_on_all(self) -> None:
        with self._guard:
            group, self._waiting = self._waiting, []
        try:
            self._answer(group)
        except BaseException as error:
            for place in group:
                place.error = error if isinstance(error, Exception) else RuntimeError("broken off")
            raise
        finally:
            self._pass_on()
            for place in group:
                place.turn.release()

    def _answer(self, group: Sequence[_Place[Item, Outcome]]) -> None:
        outcomes = self._work([place.item for place in group])
        for place, outcome in zip(group, outcomes, strict=True):
            place.outcome = outcome

    def _pass_on(self) -> None:
        """To one that came meanwhile; before the group is woken, so that the disk does not wait for it."""
        with self._guard:
            if self._waiting:
                self._waiting[0].turn.release()
            else:
                self._led = False


def _commit(drafts: Sequence[Draft]) -> Sequence[Accepted | Exception]:
    try:
        return commit(drafts, timezone.now())
    except AWAY:
        raise
    except Exception:
        if len(drafts) == 1:
            raise
        return [_commit_alone(one) for one in drafts]


def _commit_alone(one: Draft) -> Accepted | Exception:
    try:
        return commit([one], timezone.now())[0]
    except Exception as error:  # noqa: BLE001  whatever it is, it is told to this one alone
        return error


_turn = Lock()
_acceptances: Gathering[Draft, Accepted | Exception] = Gathering(_commit, _turn)


def take_many(drafts: Sequence[Draft], now: datetime) -> Sequence[Accepted | Refusal]:
    """Take messages over in a transaction of their own, as `commit` does.

    On SQLite, where all wait for it, those that come by `take` meanwhile share the next transaction.
    """
    if connection.in_atomic_block or on_postgresql():
        return commit(drafts, now)
    with _turn:
        return commit(drafts, now)


def take(submission: Submission, now: datetime) -> Accepted:
    """Take a message over, together with those that come at the same moment.

    Raises:
        Refusal: its faults; nothing of it was stored.
        DatabaseError: nothing of it was stored.
    """
    one = draft(submission, now)
    # Within a transaction of its own it stays alone: others would be answered before that one commits.
    answer = commit([one], now)[0] if connection.in_atomic_block else _acceptances.put(one)
    if isinstance(answer, Exception):
        raise answer
    return answer
